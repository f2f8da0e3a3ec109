// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Evidence} from "../../contracts/chain/Evidence.sol";
import {Rulings} from "../../contracts/chain/Rulings.sol";
import {Settlement} from "../../contracts/chain/Settlement.sol";
import {StakeRegistry} from "../../contracts/chain/StakeRegistry.sol";
import {Demands} from "../../contracts/chain/evidence/Demands.sol";
import {Account, Unbonding} from "../../contracts/chain/registry/RegistryState.sol";
import {Pool} from "../../contracts/chain/settlement/SettlementState.sol";
import {Channel} from "../../contracts/chain/settlement/Escrow.sol";
import {Handler} from "./support/Handler.sol";
import {vm} from "./support/Vm.sol";

/// @dev What holds after every step of every life (spec-chain.md, "Invariants").
contract InvariantsTest {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    Handler private _handler;
    StakeRegistry private _registry;
    Settlement private _settlement;
    Evidence private _evidence;
    Rulings private _rulings;
    address[7] private _everybody;

    function setUp() public {
        _handler = new Handler();
        _handler.setUp();
        (address registry, address settlement, address evidence, address rulings) = _handler.world();
        _registry = StakeRegistry(registry);
        _settlement = Settlement(settlement);
        _evidence = Evidence(evidence);
        _rulings = Rulings(rulings);
        _everybody = [
            address(0x9000),
            address(0x9001),
            address(0x9002),
            address(0x6000),
            address(0x5757),
            vm.addr(0xC11E),
            address(_handler)
        ];
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_handler);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        bytes4[36] memory all = [
            _handler.stake.selector,
            _handler.unbond.selector,
            _handler.withdraw.selector,
            _handler.equivocate.selector,
            _handler.equivocateByRetired.selector,
            _handler.addKey.selector,
            _handler.retireKey.selector,
            _handler.proposeSets.selector,
            _handler.activateSets.selector,
            _handler.ruleByOthers.selector,
            _handler.collect.selector,
            _handler.takeCredit.selector,
            _handler.burn.selector,
            _handler.pause.selector,
            _handler.openCase.selector,
            _handler.rule.selector,
            _handler.appeal.selector,
            _handler.ruleAppeal.selector,
            _handler.finalize.selector,
            _handler.takeBond.selector,
            _handler.demand.selector,
            _handler.answer.selector,
            _handler.endSilence.selector,
            _handler.dropDemand.selector,
            _handler.deposit.selector,
            _handler.redeem.selector,
            _handler.exit.selector,
            _handler.fund.selector,
            _handler.postRoot.selector,
            _handler.robAndStop.selector,
            _handler.disableRoot.selector,
            _handler.claim.selector,
            _handler.withdrawMargin.selector,
            _handler.wait.selector,
            _handler.waitDays.selector,
            _handler.waitLong.selector
        ];
        // What others wait for comes more often: cases and their rulings, and time.
        bytes4[6] memory often = [
            _handler.openCase.selector,
            _handler.rule.selector,
            _handler.demand.selector,
            _handler.exit.selector,
            _handler.wait.selector,
            _handler.wait.selector
        ];
        bytes4[] memory chosen = new bytes4[](all.length + often.length);
        for (uint256 i = 0; i < all.length; ++i) chosen[i] = all[i];
        for (uint256 i = 0; i < often.length; ++i) chosen[all.length + i] = often[i];
        targets[0] = FuzzSelector(address(_handler), chosen);
    }

    function invariant_allHold() external view {
        _booksEqualBalances();
        _frozenStakeIsThere();
        _honestStakeIsWhole();
        _settlementIsWithinBounds();
        // Whoever changes keys or referees escapes nothing and gains nothing.
        require(!_handler.keyMisjudged() && !_handler.ruledByOthers());
    }

    /// Reference invariant 1: what is booked is what is there, in each contract.
    function _booksEqualBalances() private view {
        _eq(_booked(), _balance(address(_registry)));
        _eq(_settlementBooks(), _balance(address(_settlement)));
        _eq(_evidenceBonds(), _balance(address(_evidence)));
        _eq(_rulingBonds(), _balance(address(_rulings)));
    }

    /// Reference invariants 2 and 4: no withdrawal has cut into what open cases can take; what is frozen is the sum of their
    /// shares; queues sum to what is queued.
    function _frozenStakeIsThere() private view {
        require(!_handler.cutIntoFrozen());
        for (uint256 i = 0; i < 4; ++i) {
            Account memory held = _registry.accountOf(_everybody[i]);
            _eq(_frozenFor(_everybody[i]), held.frozen);
            Unbonding[] memory queue = _registry.unbondingsOf(_everybody[i]);
            uint256 queued;
            for (uint256 j = 0; j < queue.length; ++j) queued += queue[j].amount;
            _eq(queued, held.queued);
            require(queue.length <= 8);
        }
    }

    /// Reference invariant 3: the honest ghost never loses stake.
    function _honestStakeIsWhole() private view {
        Account memory held = _registry.accountOf(_everybody[0]);
        _eq(held.active + held.queued + _handler.honestTaken(), _handler.honestPut());
        require(held.convictedAt == 0);
    }

    /// Reference invariants 5 and 7: vouchers within deposits and never more than the client has signed for, claims within roots, roots within the pool.
    function _settlementIsWithinBounds() private view {
        Channel memory channel = _settlement.channelOf(_everybody[5], _everybody[3]);
        require(channel.redeemed <= channel.deposited && channel.redeemed <= _handler.voucher());
        Pool memory pool = _settlement.poolOf(_everybody[3]);
        require(pool.paid <= pool.committed && pool.committed + pool.withdrawn <= pool.funded);
        uint256 claimed;
        for (uint256 i = 0; i < 3; ++i) claimed += _settlement.claimed(_everybody[3], _everybody[i]);
        _eq(claimed, pool.paid);
    }

    /// Reference invariants 6 and 8: in the end every token goes to its owner, though the owner has paused.
    function afterInvariant() external {
        _handler.drain();
        _honestStakeIsWhole();
        _booksEqualBalances();
        _eq(_balance(address(_registry)), 0);
        _eq(_balance(address(_rulings)), 0);
        _eq(_balance(address(_evidence)), 0);
        Pool memory pool = _settlement.poolOf(_everybody[3]);
        _eq(pool.paid, pool.committed);
        _eq(_balance(address(_settlement)), 0);
    }

    function _frozenFor(address account) private view returns (uint256 sum) {
        for (uint256 i = 0;; ++i) {
            try _handler.cases(i) returns (bytes32 id) {
                StakeRegistry.Frozen memory share = _registry.frozenOf(address(_rulings), id);
                if (share.account == account) sum += share.amount;
            } catch {
                break;
            }
        }
        for (uint256 i = 0;; ++i) {
            try _handler.demands(i) returns (bytes32 id) {
                StakeRegistry.Frozen memory share = _registry.frozenOf(address(_evidence), id);
                if (share.account == account) sum += share.amount;
            } catch {
                return sum;
            }
        }
    }

    function _booked() private view returns (uint256 sum) {
        for (uint256 i = 0; i < 7; ++i) {
            Account memory held = _registry.accountOf(_everybody[i]);
            sum += held.active + held.queued + _registry.credits(_everybody[i]);
        }
        sum += _registry.credits(_registry.BURN());
    }

    function _settlementBooks() private view returns (uint256) {
        Channel memory channel = _settlement.channelOf(_everybody[5], _everybody[3]);
        Pool memory pool = _settlement.poolOf(_everybody[3]);
        return channel.deposited - channel.redeemed + pool.funded - pool.paid - pool.withdrawn;
    }

    function _evidenceBonds() private view returns (uint256 sum) {
        for (uint256 i = 0; i < 7; ++i) sum += _evidence.bonds(_everybody[i]);
        for (uint256 i = 0;; ++i) {
            try _handler.demands(i) returns (bytes32 id) {
                if (_evidence.demandOf(id).status == Demands.Status.Open) sum += _evidence.demandBond();
            } catch {
                return sum;
            }
        }
    }

    function _rulingBonds() private view returns (uint256 sum) {
        for (uint256 i = 0; i < 7; ++i) sum += _rulings.bonds(_everybody[i]);
        for (uint256 i = 0;; ++i) {
            try _handler.cases(i) returns (bytes32 id) {
                Rulings.State state = _rulings.caseOf(id).state;
                if (state == Rulings.State.Settled) continue;
                sum += _rulings.bond();
                if (state == Rulings.State.Appealed) sum += 2 * _rulings.bond();
            } catch {
                return sum;
            }
        }
    }

    function _balance(address holder) private view returns (uint256) {
        return _registry.token().balanceOf(holder);
    }

    function _eq(uint256 a, uint256 b) private pure {
        require(a == b, "not equal");
    }
}
