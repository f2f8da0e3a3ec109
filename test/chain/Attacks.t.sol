// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Division, JudgedFault, Outcome, Rulings, Windows} from "../../contracts/chain/Rulings.sol";
import {Settlement} from "../../contracts/chain/Settlement.sol";
import {StakeRegistry} from "../../contracts/chain/StakeRegistry.sol";
import {NotProven} from "../../contracts/chain/evidence/Conviction.sol";
import {InvalidSignature} from "../../contracts/chain/lib/AssayDomain.sol";
import {Messages, Opening} from "../../contracts/chain/lib/Messages.sol";
import {IStakeRegistry} from "../../contracts/chain/registry/IStakeRegistry.sol";
import {Times, TooEarly} from "../../contracts/chain/registry/RegistryState.sol";
import {NotEnoughVoices} from "../../contracts/chain/rulings/RefereeSets.sol";
import {NoExit} from "../../contracts/chain/settlement/Escrow.sol";
import {SettlementBase} from "./support/SettlementBase.sol";
import {vm} from "./support/Vm.sol";

/// @dev Attacks that once went through. Each plays the whole attack, and ends with what it must not have gained.
contract AttacksTest is SettlementBase {
    address private constant FRIEND = address(0xF21E);
    Division private _none;
    uint256 private _nonce;

    function setUp() public override {
        super.setUp();
        _fill(FRIEND);
    }

    /// An equivocator announces his own fault every day, accuses himself, and shows the announcements one after the other: the
    /// clock of the pot must not be wound back by them, or no harmed client has any time left.
    function test_convict_chainOfOwnAnnouncements_leavesThePotWindow() public {
        (bytes32 x, bytes32 y) = (Messages.commitment("job", 0, "a"), Messages.commitment("job", 0, "b"));
        bytes32 pair = x < y ? keccak256(abi.encode(x, y)) : keccak256(abi.encode(y, x));
        for (uint256 day = 1; day <= 15; ++day) {
            vm.prank(FRIEND);
            evidence.announce(keccak256(abi.encode(pair, FRIEND, bytes32(day))));
            _later(1 days);
        }
        for (uint256 day = 16; day > 0; --day) {
            try this.equivocateAs(day % 16) {} catch {}
        }
        uint256 convictedAt = block.timestamp;
        vm.expectRevert(abi.encodeWithSelector(TooEarly.selector, convictedAt + POT));
        registry.collect(_provider(0));
        _later(POT - 1);
        _openCase(0);
    }

    function equivocateAs(uint256 salt) external {
        bytes memory first = _sign(_providerKey(0), Messages.commitment("job", 0, "a"));
        bytes memory second = _sign(_providerKey(0), Messages.commitment("job", 0, "b"));
        vm.prank(FRIEND);
        evidence.proveTwoCommitments("job", 0, "a", first, "b", second, bytes32(salt));
    }

    /// A provider keeps all of its stake under cases of its own friend, renewed in the block in which they end, until it has
    /// left: a harmed client's case must reach the stake all the same.
    function test_openCase_stakeHeldByFriendlyCases_isReachedAllTheSame() public {
        address account = _provider(0);
        vm.prank(account);
        registry.unbond(account, STAKE);
        bytes32[2] memory held = _hold();
        bytes32 harmed;
        for (uint256 day = 3; day <= 21; day += 3) {
            _later(1 days);
            if (harmed == 0) harmed = _tryOpenCase();
            _later(2 days);
            for (uint256 i = 0; i < 2; ++i) rulings.finalize(held[i], _none);
            if (day == 3 && harmed != 0) _rule(harmed, _division(_client(), 50_000, stranger));
            if (day == 6 && harmed != 0) rulings.finalize(harmed, _division(_client(), 50_000, stranger));
            if (day != 21) held = _hold();
        }
        vm.prank(account);
        registry.withdraw(account, 0, account);
        _assertEq(token.balanceOf(account), 9 * STAKE + STAKE * 8 / 10);
        _assertEq(registry.credits(_client()), 50_000);
    }

    /// Referees that never rule: a stranger holds half of a stake for three days at a time, again and again. It pays whom it holds
    /// each time, and keeps nothing of what it put up.
    function test_openCase_silentReferees_costsItsBondEachTime() public {
        uint256 before = token.balanceOf(FRIEND);
        for (uint256 i = 0; i < 7; ++i) {
            bytes32[2] memory held = _hold();
            _later(3 days);
            for (uint256 k = 0; k < 2; ++k) rulings.finalize(held[k], _none);
        }
        _assertEq(rulings.bonds(FRIEND), 0);
        _assertEq(before - token.balanceOf(FRIEND), 14 * BOND);
        _assertEq(rulings.bonds(_provider(0)), 14 * BOND);
    }

    /// Accused of more than it has, a provider burns itself through demands that its friend makes and nobody answers: it must
    /// not save a part of its stake from those whom the cases would pay.
    function test_endSilence_drainingBeforeARuling_gainsNothing() public {
        _hold();
        bytes32[5] memory demands;
        for (uint256 i = 0; i < 5; ++i) demands[i] = _demand(GATEWAY_KEY, i);
        _later(ANSWER);
        for (uint256 i = 0; i < 5; ++i) evidence.endSilence(demands[i]);
        _assertEq(registry.credits(FRIEND), 0);
        _assertEq(registry.accountOf(_provider(0)).active, 0);
        _assertEq(registry.credits(registry.BURN()), STAKE);
    }

    /// An account without stake makes up tickets for nothing: nobody has to answer to it.
    function test_demandOpening_gatewayWithoutStake_reverts() public {
        vm.startPrank(FRIEND);
        registry.open(0);
        registry.addKey(FRIEND, vm.addr(0x4444), _proof(FRIEND, 0x4444));
        vm.stopPrank();
        vm.expectRevert(NotProven.selector);
        this.demand(0x4444, 0);
        vm.startPrank(FRIEND);
        registry.stake(FRIEND, BOND - 1);
        vm.stopPrank();
        vm.expectRevert(NotProven.selector);
        this.demand(0x4444, 0);
        vm.prank(FRIEND);
        registry.stake(FRIEND, 1);
        this.demand(0x4444, 0);
    }

    /// A gateway that was convicted has nothing left to lose by made-up tickets.
    function test_demandOpening_convictedGateway_reverts() public {
        bytes memory first = _sign(GATEWAY_KEY, Messages.permission("round", 0, "a"));
        bytes memory second = _sign(GATEWAY_KEY, Messages.permission("round", 0, "b"));
        evidence.proveTwoRoots("round", 0, "a", first, "b", second, 0);
        vm.expectRevert(NotProven.selector);
        this.demand(GATEWAY_KEY, 0);
    }

    /// A client starts an exit from an empty channel, waits, and pays in only then: it must not be able to leave at once.
    function test_finishExit_startedBeforeTheDeposit_reverts() public {
        vm.prank(_client());
        settlement.startExit(gateway);
        _later(EXIT);
        _deposit(1_000);
        vm.startPrank(_client());
        vm.expectRevert(NoExit.selector);
        settlement.finishExit(gateway);
        settlement.startExit(gateway);
        vm.expectRevert(abi.encodeWithSelector(TooEarly.selector, block.timestamp + EXIT));
        settlement.finishExit(gateway);
        vm.stopPrank();
    }

    /// Replay across contracts: a voucher is for one Settlement, though another serves the same registry.
    function test_redeem_voucherOfAnotherSettlement_reverts() public {
        Settlement other = new Settlement(IStakeRegistry(address(registry)), EXIT, ACTIVATION);
        vm.startPrank(_client());
        token.approve(address(other), 1_000);
        other.deposit(gateway, 1_000);
        vm.stopPrank();
        bytes memory signature = _voucher(gateway, 0, 500);
        vm.prank(gateway);
        vm.expectRevert(InvalidSignature.selector);
        other.redeem(gateway, _client(), 0, 500, signature);
    }

    /// Replay across contracts: what referees signed for one Rulings does not rule the same dispute in another.
    function test_rule_voicesOfAnotherRulings_reverts() public {
        Rulings other = new Rulings(
            IStakeRegistry(address(registry)), owner, Windows(3 days, 2 days, 3 days), BOND, _set(0, 3, 2), _set(3, 5, 3)
        );
        vm.prank(owner);
        registry.addSlasher(address(other));
        _later(UNBOND + 7 days);
        bytes32 caseId = _openCase(0);
        bytes[] memory voices = _voices(caseId, 0, Outcome.Upheld, _none, 2);
        vm.startPrank(stranger);
        token.approve(address(other), BOND);
        bytes32 twin = other.openCase(_provider(0), bytes32("dispute"), bytes32("bundle"), JudgedFault.WrongOutput);
        vm.stopPrank();
        vm.expectRevert(NotEnoughVoices.selector);
        other.rule(twin, Outcome.Upheld, _none, voices);
    }

    /// Whoever opens an account between deployment and the naming of the first slashers would leave the network without any
    /// for four weeks.
    function test_open_beforeTheFirstSlashers_reverts() public {
        StakeRegistry fresh = new StakeRegistry(token, owner, Times(UNBOND, KEY_DELAY, POT));
        vm.prank(FRIEND);
        (bool opened,) = address(fresh).call(abi.encodeCall(fresh.open, (0)));
        address[] memory first = new address[](1);
        first[0] = address(drawEvidence);
        vm.prank(owner);
        fresh.installSlashers(first);
        require(!opened && fresh.isSlasher(address(drawEvidence)));
        vm.prank(FRIEND);
        fresh.open(0);
    }

    // Steps

    /// @dev Two cases over half of the stake each.
    function _hold() private returns (bytes32[2] memory held) {
        for (uint256 i = 0; i < 2; ++i) {
            vm.prank(FRIEND);
            held[i] = rulings.openCase(_provider(0), bytes32(++_nonce), "own", JudgedFault.ModelSubstitution);
        }
    }

    function _tryOpenCase() private returns (bytes32 caseId) {
        vm.prank(_client());
        try rulings.openCase(_provider(0), "harm", "bundle", JudgedFault.WrongOutput) returns (bytes32 id) {
            caseId = id;
        } catch {}
    }

    function _rule(bytes32 caseId, Division memory division) private {
        rulings.rule(caseId, Outcome.Upheld, division, _voices(caseId, 0, Outcome.Upheld, division, 2));
    }

    function demand(uint256 key, uint256 nonce) external {
        _demand(key, nonce);
    }

    function _demand(uint256 key, uint256 nonce) private returns (bytes32) {
        Opening memory opening;
        opening.jobId = bytes32(nonce);
        return _demandOf(FRIEND, key, _providerKey(0), opening);
    }
}
