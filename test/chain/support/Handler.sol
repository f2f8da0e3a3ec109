// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {JudgedFault, Division, Outcome, Rulings} from "../../../contracts/chain/Rulings.sol";
import {Demands, SealedChunk} from "../../../contracts/chain/evidence/Demands.sol";
import {Hashes} from "../../../contracts/chain/lib/Hashes.sol";
import {LogMerkle} from "../../../contracts/chain/lib/LogMerkle.sol";
import {Messages, Opening, Ticket} from "../../../contracts/chain/lib/Messages.sol";
import {Account} from "../../../contracts/chain/registry/RegistryState.sol";
import {EarningsRoot} from "../../../contracts/chain/settlement/Earnings.sol";
import {Harness} from "./Harness.sol";
import {SettlementBase} from "./SettlementBase.sol";
import {vm} from "./Vm.sol";

/// @dev Random lives of three providers, a gateway, a client, accusers and referees. Provider 0 is the honest ghost: it
/// signs nothing twice, answers demands in time and appeals; the first referees may be bribed, the larger set not.
contract Handler is SettlementBase {
    Harness private _harness;
    bytes32[] public cases;
    bytes32[] public demands;
    uint256 private _nonce;
    uint128[3] public earned;
    uint128[3][] private _trees;
    mapping(uint64 rootIndex => uint256) private _treeOf;
    uint64 private _logSize;
    mapping(uint64 rootIndex => uint64) private _sizeOf;
    uint128 public voucher;
    uint128 public honestPut;
    uint128 public honestTaken;
    /// @dev Whether a withdrawal left less than what open cases can take.
    bool public cutIntoFrozen;
    Division private _none;

    function setUp() public override {
        super.setUp();
        _harness = new Harness();
        honestPut = STAKE;
    }

    function world() external view returns (address, address, address, address) {
        return (address(registry), address(settlement), address(evidence), address(rulings));
    }

    // Stake

    function stake(uint8 who, uint96 amount) external {
        amount = amount % 1_000 + 1;
        vm.prank(stranger);
        registry.stake(_provider(who % 3), amount);
        if (who % 3 == 0) honestPut += amount;
    }

    function unbond(uint8 who, uint96 amount) external {
        vm.prank(_provider(who % 3));
        registry.unbond(_provider(who % 3), amount % STAKE);
    }

    function withdraw(uint8 who, uint8 index) external {
        address account = _provider(who % 3);
        uint256 before = token.balanceOf(account);
        vm.prank(account);
        registry.withdraw(account, index % 8, account);
        if (who % 3 == 0) honestTaken += uint128(token.balanceOf(account) - before);
        Account memory held = registry.accountOf(account);
        if (held.active + held.queued < held.frozen) cutIntoFrozen = true;
    }

    function equivocate(uint8 who) external {
        _equivocation(who % 2 + 1, 0);
    }

    function collect(uint8 who) external {
        registry.collect(_provider(who % 3));
    }

    function takeCredit(uint8 who) external {
        address owner_ = who % 5 < 3 ? _provider(who % 5) : who % 5 == 3 ? stranger : _client();
        vm.prank(owner_);
        registry.withdrawCredit(owner_, owner_);
    }

    function burn() external {
        registry.burn();
    }

    function pause(uint32 duration) external {
        vm.prank(owner);
        registry.pause(uint48(duration % 2 days));
    }

    // Cases

    function openCase(uint8 who, uint8 fault, bool sameDispute) external {
        vm.prank(stranger);
        bytes32 dispute = sameDispute ? bytes32("one") : bytes32(++_nonce);
        cases.push(
            rulings.openCase(_provider(who % 3), dispute, bytes32(++_nonce), JudgedFault(fault % 5))
        );
    }

    function rule(uint256 which, bool uphold, uint64 refund) external {
        (bytes32 id, Rulings.Case memory judged) = _case(which);
        Division memory division = _divisionOf(refund);
        Outcome outcome = uphold ? Outcome.Upheld : Outcome.Rejected;
        rulings.rule(id, outcome, division, _voices(id, 0, outcome, division, 2));
        _divisions[id] = division;
        // The honest ghost appeals what it did not do.
        if (uphold && judged.account == _provider(0)) _appeal(id, _provider(0));
    }

    function appeal(uint256 which) external {
        (bytes32 id,) = _case(which);
        _appeal(id, stranger);
    }

    function ruleAppeal(uint256 which, bool uphold, uint64 refund) external {
        (bytes32 id, Rulings.Case memory judged) = _case(which);
        Division memory division = _divisionOf(refund);
        Outcome outcome = uphold && judged.account != _provider(0) ? Outcome.Upheld : Outcome.Rejected;
        rulings.ruleAppeal(id, outcome, division, _voices(id, 1, outcome, division, 3));
    }

    function finalize(uint256 which) external {
        (bytes32 id,) = _case(which);
        rulings.finalize(id, _divisions[id]);
    }

    function takeBond(uint8 who, bool ofEvidence) external {
        address owner_ = who % 4 == 3 ? stranger : _provider(who % 4);
        vm.prank(owner_);
        if (ofEvidence) evidence.withdrawBond(owner_, owner_);
        else rulings.withdrawBond(owner_, owner_);
    }

    mapping(bytes32 id => Division) private _divisions;

    function _divisionOf(uint64 refund) private pure returns (Division memory) {
        return _division(_client(), refund % (2 * STAKE), _provider(refund % 3));
    }

    function _appeal(bytes32 id, address by) private {
        vm.prank(by);
        rulings.appeal(id);
    }

    function _case(uint256 which) private view returns (bytes32 id, Rulings.Case memory judged) {
        id = cases[which % cases.length];
        return (id, rulings.caseOf(id));
    }

    // Demands

    function demand(uint8 who) external {
        uint256 i = who % 3;
        Opening memory opening = _openingOf(i, ++_nonce);
        Ticket memory ticket;
        ticket.jobId = opening.jobId;
        ticket.provider = vm.addr(_providerKey(i));
        ticket.retainUntilMs = type(uint64).max;
        SealedChunk memory chunk;
        chunk.commitment = _harness.commitment(ticket.provider, opening);
        chunk.path = new bytes32[](4);
        bytes32 node = Hashes.roundLeaf(0, 0, 0, chunk.commitment);
        for (uint256 h = 0; h < 4; ++h) node = LogMerkle.nodeHash(node, 0);
        chunk.roundRoot = node;
        bytes memory ticketBy = _sign(GATEWAY_KEY, _harness.ticketHash(ticket));
        bytes memory permissionBy = _sign(GATEWAY_KEY, Messages.permission(0, 0, node));
        bytes memory commitmentBy = _sign(_providerKey(i), Messages.commitment(opening.jobId, 0, chunk.commitment));
        vm.prank(stranger);
        demands.push(evidence.demandOpening(ticket, ticketBy, chunk, permissionBy, commitmentBy));
        _openings[demands[demands.length - 1]] = opening;
    }

    function answer(uint256 which) public {
        bytes32 id = demands[which % demands.length];
        evidence.answerOpening(id, _openings[id]);
    }

    function endSilence(uint256 which) external {
        evidence.endSilence(demands[which % demands.length]);
    }

    function dropDemand(uint256 which) external {
        evidence.dropDemand(demands[which % demands.length]);
    }

    mapping(bytes32 id => Opening) private _openings;

    function _openingOf(uint256 i, uint256 nonce) private pure returns (Opening memory opening) {
        opening.jobId = bytes32(nonce);
        opening.salt = bytes32(i);
    }

    // Escrow and earnings

    function deposit(uint96 amount) external {
        _deposit(amount % 10_000 + 1);
    }

    function redeem(uint96 amount) external {
        voucher += amount % 1_000;
        _redeem(settlement.channelOf(_client(), gateway).epoch, voucher);
    }

    function startExit() external {
        vm.prank(_client());
        settlement.startExit(gateway);
    }

    function finishExit() external {
        vm.prank(_client());
        settlement.finishExit(gateway);
        voucher = 0;
    }

    function fund(uint96 amount) external {
        _fund(amount % 10_000 + 1);
    }

    function postRoot(uint64 a, uint64 b, uint64 c) external {
        uint128[3] memory next = [earned[0] + a % 500, earned[1] + b % 500, earned[2] + c % 500];
        uint64 index = settlement.poolOf(gateway).rootCount;
        _post(_tree(next[0], next[1], next[2]), next[0] + next[1] + next[2], ++_logSize);
        _trees.push(next);
        (_treeOf[index], _sizeOf[index]) = (_trees.length, _logSize);
        earned = next;
    }

    function disableRoot() external {
        uint64 count = settlement.poolOf(gateway).rootCount;
        EarningsRoot memory previous;
        if (count > 1) previous = _standsAt(count - 2);
        vm.prank(gateway);
        settlement.disableRoot(gateway, previous);
        if (count == 1) delete earned;
        else earned = _trees[_treeOf[count - 2] - 1];
    }

    function claim(uint8 who, uint64 index) public {
        index = index % (settlement.poolOf(gateway).rootCount + 1);
        uint128[3] memory tree = _trees[_treeOf[index] - 1];
        bytes32[] memory leaves = _tree(tree[0], tree[1], tree[2]);
        uint64 leaf = who % 3;
        settlement.claim(gateway, _provider(leaf), _earned(leaves, index, leaf, tree[leaf], _standsAt(index)));
    }

    function _standsAt(uint64 index) private view returns (EarningsRoot memory) {
        uint128[3] memory tree = _trees[_treeOf[index] - 1];
        return _stands(_tree(tree[0], tree[1], tree[2]), tree[0] + tree[1] + tree[2], _sizeOf[index]);
    }

    function withdrawMargin(uint96 amount) external {
        vm.prank(gateway);
        settlement.withdrawMargin(gateway, amount % 5_000, gateway);
    }

    // Time

    function wait(uint32 duration) external {
        _answerForTheHonest();
        vm.warp(block.timestamp + duration % 4 days);
    }

    function waitLong(uint32 duration) external {
        _answerForTheHonest();
        vm.warp(block.timestamp + duration % 25 days);
    }

    function _answerForTheHonest() private {
        for (uint256 i = 0; i < demands.length; ++i) {
            if (evidence.demandOf(demands[i]).account != _provider(0)) continue;
            try this.answer(i) {} catch {}
        }
    }

    /// @dev The end of the world: every clock runs out, and everybody takes what is his, while the owner has paused.
    function drain() external {
        _answerForTheHonest();
        vm.warp(block.timestamp + 400 days);
        vm.prank(owner);
        registry.pause(14 days);
        for (uint256 i = 0; i < cases.length; ++i) {
            try rulings.finalize(cases[i], _divisions[cases[i]]) {} catch {}
        }
        for (uint256 i = 0; i < demands.length; ++i) try evidence.dropDemand(demands[i]) {} catch {}
        for (uint256 i = 0; i < 4; ++i) _leave(i == 3 ? gateway : _provider(i));
        _drainSettlement();
        for (uint256 i = 0; i < 6; ++i) {
            address who = i < 3 ? _provider(i) : i == 3 ? stranger : i == 4 ? _client() : address(this);
            vm.startPrank(who);
            try registry.withdrawCredit(who, who) {} catch {}
            try rulings.withdrawBond(who, who) {} catch {}
            try evidence.withdrawBond(who, who) {} catch {}
            vm.stopPrank();
        }
        try registry.burn() {} catch {}
    }

    function _leave(address account) private {
        Account memory held = registry.accountOf(account);
        if (held.convictedAt != 0) {
            try registry.collect(account) {} catch {}
            return;
        }
        uint256 before = token.balanceOf(account);
        vm.startPrank(account);
        for (uint256 n = registry.unbondingsOf(account).length; n > 0; --n) registry.withdraw(account, n - 1, account);
        if (held.active != 0) registry.unbond(account, held.active);
        vm.warp(block.timestamp + UNBOND);
        if (held.active != 0) registry.withdraw(account, 0, account);
        vm.stopPrank();
        if (account == _provider(0)) honestTaken += uint128(token.balanceOf(account) - before);
    }

    function _drainSettlement() private {
        uint64 count = settlement.poolOf(gateway).rootCount;
        for (uint8 i = 0; i < 3 && count > 0; ++i) try this.claim(i, count - 1) {} catch {}
        vm.startPrank(gateway);
        uint128 margin = settlement.poolOf(gateway).funded - settlement.poolOf(gateway).withdrawn
            - settlement.poolOf(gateway).committed;
        if (margin > 0) settlement.withdrawMargin(gateway, margin, gateway);
        vm.stopPrank();
        vm.startPrank(_client());
        try settlement.startExit(gateway) {} catch {}
        vm.warp(block.timestamp + EXIT);
        try settlement.finishExit(gateway) {} catch {}
        vm.stopPrank();
    }
}
