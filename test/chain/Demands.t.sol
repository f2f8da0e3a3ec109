// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Evidence} from "../../contracts/chain/Evidence.sol";
import {NotProven} from "../../contracts/chain/evidence/Conviction.sol";
import {DemandKnown, Demands, NoDemand, SealedChunk, WrongAnswer} from "../../contracts/chain/evidence/Demands.sol";
import {Hashes} from "../../contracts/chain/lib/Hashes.sol";
import {LogMerkle} from "../../contracts/chain/lib/LogMerkle.sol";
import {Messages, Opening, Ticket} from "../../contracts/chain/lib/Messages.sol";
import {IStakeRegistry} from "../../contracts/chain/registry/IStakeRegistry.sol";
import {
    NothingToMove,
    TimeOutOfBounds,
    TokenTookFee,
    TooEarly,
    TooLate
} from "../../contracts/chain/registry/RegistryState.sol";
import {Base} from "./support/Base.sol";
import {TestToken} from "./support/Tokens.sol";
import {vm} from "./support/Vm.sol";

contract DemandsTest is Base {
    struct Case {
        Ticket ticket;
        SealedChunk chunk;
        uint256 ticketKey;
        uint256 permissionKey;
        uint256 commitmentKey;
    }

    function test_constructor_windowOutOfBounds_reverts() public {
        IStakeRegistry stakes = IStakeRegistry(address(registry));
        vm.expectRevert(TimeOutOfBounds.selector);
        new Evidence(stakes, 1 hours - 1, 1);
        vm.expectRevert(TimeOutOfBounds.selector);
        new Evidence(stakes, 7 days + 1, 1);
        _assertEq(new Evidence(stakes, 7 days, 1).disputeTime(), 14 days);
        new Evidence(stakes, 1 hours, 1);
    }

    function test_demandOpening_freezesStake() public {
        bytes32 id = _demand(_case(), 0);
        Demands.Demand memory demand = evidence.demandOf(id);
        require(demand.account == _provider(0) && demand.subject == vm.addr(_providerKey(0)));
        _assertEq(demand.answerBy, START + ANSWER);
        _assertEq(registry.accountOf(_provider(0)).frozen, STAKE / 5);
        _assertEq(token.balanceOf(address(evidence)), BOND);
    }

    function test_demandOpening_tokenTakesFee_reverts() public {
        token.setMood(TestToken.Mood.TakesFee);
        _demand(_case(), TokenTookFee.selector);
        _assertEq(registry.accountOf(_provider(0)).frozen, 0);
    }

    function test_demandOpening_twice_reverts() public {
        _demand(_case(), 0);
        _demand(_case(), DemandKnown.selector);
    }

    function test_demandOpening_afterRetention_reverts() public {
        Case memory c = _case();
        vm.warp(START + 90 days);
        c.ticket.retainUntilMs = uint64((START + 90 days) * 1000 - 1);
        _demand(c, TooLate.selector);
        c.ticket.retainUntilMs = uint64((START + 90 days) * 1000);
        _demand(c, 0);
    }

    function test_demandOpening_anythingForeign_reverts() public {
        Case memory c = _case();
        c.permissionKey = _providerKey(1);
        _demand(c, NotProven.selector);
        c = _case();
        c.commitmentKey = _providerKey(1);
        _demand(c, NotProven.selector);
        c = _case();
        // A gateway without stake has nothing to lose by made-up tickets.
        (c.ticketKey, c.permissionKey) = (0x77, 0x77);
        _demand(c, NotProven.selector);
        c = _case();
        c.chunk.slot = 5;
        _demand(c, NotProven.selector);
        c = _case();
        c.chunk.path = new bytes32[](3);
        _demand(c, NotProven.selector);
    }

    /// Where demands cost nothing, whoever is no account still cannot demand.
    function test_demandOpening_unknownGatewayWhereNothingIsAsked_reverts() public {
        evidence = new Evidence(IStakeRegistry(address(registry)), ANSWER, 0);
        Case memory c = _case();
        (c.ticketKey, c.permissionKey) = (0x77, 0x77);
        _demand(c, NotProven.selector);
    }

    function test_answerOpening_inTime_releasesAndPaysTheBond() public {
        bytes32 id = _demand(_case(), 0);
        vm.warp(START + ANSWER - 1);
        Opening memory wrong = _opening();
        wrong.tokenCount += 1;
        vm.expectRevert(WrongAnswer.selector);
        evidence.answerOpening(id, wrong);
        evidence.answerOpening(id, _opening());
        _assertEq(registry.accountOf(_provider(0)).frozen, 0);
        _assertEq(registry.accountOf(_provider(0)).active, STAKE);
        _assertEq(evidence.bonds(_provider(0)), BOND);
        vm.expectRevert(NoDemand.selector);
        evidence.answerOpening(id, _opening());
        vm.warp(START + ANSWER);
        vm.expectRevert(NoDemand.selector);
        evidence.endSilence(id);
        vm.expectRevert(NoDemand.selector);
        evidence.dropDemand(id);
        _demand(_case(), DemandKnown.selector);
    }

    function test_answerOpening_late_reverts() public {
        bytes32 id = _demand(_case(), 0);
        vm.warp(START + ANSWER);
        vm.expectRevert(TooLate.selector);
        evidence.answerOpening(id, _opening());
    }

    function test_endSilence_afterTime_slashes() public {
        bytes32 id = _demand(_case(), 0);
        vm.warp(START + ANSWER - 1);
        vm.expectRevert(abi.encodeWithSelector(TooEarly.selector, START + ANSWER));
        evidence.endSilence(id);
        vm.warp(START + ANSWER);
        evidence.endSilence(id);
        _assertEq(registry.accountOf(_provider(0)).active, STAKE * 8 / 10);
        _assertEq(registry.credits(stranger), STAKE * 6 / 100);
        _assertEq(evidence.bonds(stranger), BOND);
        vm.expectRevert(NoDemand.selector);
        evidence.endSilence(id);
    }

    /// Nobody ended it while the share was held: the provider keeps its stake, the demander his bond.
    function test_dropDemand_afterTheShareIsFree_givesBack() public {
        bytes32 id = _demand(_case(), 0);
        vm.warp(START + 2 * ANSWER - 1);
        vm.expectRevert(abi.encodeWithSelector(TooEarly.selector, START + 2 * ANSWER));
        evidence.dropDemand(id);
        vm.warp(START + 2 * ANSWER);
        vm.expectRevert(TooLate.selector);
        evidence.endSilence(id);
        evidence.dropDemand(id);
        _assertEq(registry.accountOf(_provider(0)).frozen, 0);
        _assertEq(evidence.bonds(stranger), BOND);
        vm.expectRevert(NoDemand.selector);
        evidence.dropDemand(id);
    }

    function test_dropDemand_shareReleasedBefore_succeeds() public {
        bytes32 id = _demand(_case(), 0);
        vm.warp(START + 2 * ANSWER);
        registry.release(address(evidence), id);
        evidence.dropDemand(id);
        _assertEq(evidence.bonds(stranger), BOND);
    }

    function test_withdrawBond_owner_succeeds() public {
        bytes32 id = _demand(_case(), 0);
        evidence.answerOpening(id, _opening());
        vm.expectRevert(NotProven.selector);
        evidence.withdrawBond(_provider(0), address(0xD0));
        vm.startPrank(_provider(0));
        evidence.withdrawBond(_provider(0), address(0xD0));
        vm.expectRevert(NothingToMove.selector);
        evidence.withdrawBond(_provider(0), address(0xD0));
        vm.stopPrank();
        _assertEq(token.balanceOf(address(0xD0)), BOND);
    }

    // Steps

    function _opening() private pure returns (Opening memory) {
        return Opening("job", 2, "previous", "root", 5, true, "tokens", "evidence", "salt");
    }

    function _case() private view returns (Case memory c) {
        c.ticket.jobId = "job";
        c.ticket.roundId = "round";
        c.ticket.provider = vm.addr(_providerKey(0));
        c.ticket.retainUntilMs = uint64((START + 1 days) * 1000);
        (c.ticketKey, c.permissionKey, c.commitmentKey) = (GATEWAY_KEY, GATEWAY_KEY, _providerKey(0));
        c.chunk.commitment = _harness.commitment(c.ticket.provider, _opening());
        c.chunk.index = 2;
        c.chunk.slot = 6;
        c.chunk.path = new bytes32[](4);
        for (uint256 i = 0; i < 4; ++i) c.chunk.path[i] = bytes32(uint256(i + 1));
        bytes32 node = Hashes.roundLeaf("round", 2, 6, c.chunk.commitment);
        // Slot 6 is 0110: left, right, right, left.
        node = LogMerkle.nodeHash(node, c.chunk.path[0]);
        node = LogMerkle.nodeHash(c.chunk.path[1], node);
        node = LogMerkle.nodeHash(c.chunk.path[2], node);
        c.chunk.roundRoot = LogMerkle.nodeHash(node, c.chunk.path[3]);
    }

    function _demand(Case memory c, bytes4 why) private returns (bytes32) {
        bytes memory ticketBy = _sign(c.ticketKey, _harness.ticketHash(c.ticket));
        bytes memory permissionBy =
            _sign(c.permissionKey, Messages.permission(c.ticket.roundId, c.chunk.index, c.chunk.roundRoot));
        bytes memory commitmentBy =
            _sign(c.commitmentKey, Messages.commitment(c.ticket.jobId, c.chunk.index, c.chunk.commitment));
        vm.prank(stranger);
        if (why != 0) vm.expectRevert(why);
        return evidence.demandOpening(c.ticket, ticketBy, c.chunk, permissionBy, commitmentBy);
    }
}
