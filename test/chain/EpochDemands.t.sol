// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Fault, NotProven} from "../../contracts/chain/evidence/Conviction.sol";
import {DemandKnown, NoDemand, WrongAnswer} from "../../contracts/chain/evidence/Demands.sol";
import {LoggedEpoch} from "../../contracts/chain/lib/EpochEntries.sol";
import {Checkpoint, Opening} from "../../contracts/chain/lib/Messages.sol";
import {TooLate} from "../../contracts/chain/registry/RegistryState.sol";
import {EpochLog} from "./support/EpochLog.sol";
import {vm} from "./support/Vm.sol";

/// @dev What a gateway must open when an epoch is over: its draw keys, and the secret of its audits.
contract EpochDemandsTest is EpochLog {
    Opening private _opening;

    function test_demandKey_openedInTime_succeeds() public {
        bytes32 id = _demandKey(1, 0, 1, 2, 0);
        require(id == keccak256(abi.encode(Fault.HiddenKey, gateway, _entry(1).drawRoot, 1)));
        _assertEq(registry.accountOf(gateway).frozen, STAKE / 5);
        bytes32[] memory path = _pathOfKey();
        vm.expectRevert(WrongAnswer.selector);
        evidence.answerKey(id, "k2", path);
        vm.expectRevert(NoDemand.selector);
        evidence.answerOpening(id, _opening);
        evidence.answerKey(id, "k1", path);
        _assertEq(registry.accountOf(gateway).frozen, 0);
        _assertEq(evidence.bonds(gateway), BOND);
    }

    function test_demandKey_neverOpened_slashesTheGateway() public {
        bytes32 id = _demandKey(1, 0, 1, 2, 0);
        vm.warp(START + ANSWER);
        vm.expectRevert(TooLate.selector);
        evidence.answerKey(id, "k1", new bytes32[](0));
        evidence.endSilence(id);
        _assertEq(registry.accountOf(gateway).active, STAKE * 8 / 10);
    }

    /// Keys of an epoch that still runs are the draw's secret: nobody can demand them.
    function test_demandKey_epochNotOver_reverts() public {
        _demandKey(1, 0, 1, 1, NotProven.selector);
        _demandKey(1, 1, 0, 2, NotProven.selector);
        _demandKey(1, 0, 0, 2, NotProven.selector);
    }

    function test_demandKey_indexOutsideTheEpoch_reverts() public {
        _demandKey(2, 0, 1, 2, NotProven.selector);
    }

    function test_demandKey_foreignLog_reverts() public {
        (Checkpoint memory head, LoggedEpoch memory epoch, LoggedEpoch memory later) = _epochs(1, 2, 0, 1);
        bytes memory by = _sign(_providerKey(0), _harness.checkpointHash(head));
        vm.prank(stranger);
        vm.expectRevert(NotProven.selector);
        evidence.demandKey(head, by, epoch, later, 1);
    }

    function test_demandKey_entryNotInLog_reverts() public {
        (Checkpoint memory head, LoggedEpoch memory epoch, LoggedEpoch memory later) = _epochs(1, 2, 0, 1);
        bytes memory by = _signed(head);
        epoch.entry.atMs += 1;
        vm.startPrank(stranger);
        vm.expectRevert(NotProven.selector);
        evidence.demandKey(head, by, epoch, later, 1);
        epoch.entry.atMs -= 1;
        later.entry.atMs += 1;
        vm.expectRevert(NotProven.selector);
        evidence.demandKey(head, by, epoch, later, 1);
        vm.stopPrank();
    }

    /// Entries that carry audits are read as others are.
    function test_demandKey_epochWithAudits_succeeds() public {
        _hasAudits = true;
        bytes32 id = _demandKey(1, 0, 1, 2, 0);
        evidence.answerKey(id, "k1", _pathOfKey());
        _assertEq(evidence.bonds(gateway), BOND);
    }

    // Audits

    /// A gateway that tries no scorers audits answers all the same: its entries have a commitment and no share.
    function test_demands_epochWithCommitmentAlone_succeed() public {
        (_hasAudits, _triesScorers) = (true, false);
        evidence.answerKey(_demandKey(1, 0, 1, 2, 0), "k1", _pathOfKey());
        evidence.answerAudit(_demandAudit(0, 1, 2, 0), SECRET);
        _assertEq(evidence.bonds(gateway), 2 * BOND);
    }

    function test_demandAudit_openedInTime_succeeds() public {
        _hasAudits = true;
        bytes32 id = _demandAudit(0, 1, 2, 0);
        require(id == keccak256(abi.encode(Fault.HiddenAudit, gateway, _entry(1).auditCommitment)));
        _assertEq(registry.accountOf(gateway).frozen, STAKE / 5);
        vm.expectRevert(WrongAnswer.selector);
        evidence.answerAudit(id, "another");
        vm.expectRevert(NoDemand.selector);
        evidence.answerKey(id, SECRET, new bytes32[](0));
        evidence.answerAudit(id, SECRET);
        _assertEq(registry.accountOf(gateway).frozen, 0);
        _assertEq(evidence.bonds(gateway), BOND);
        _demandAudit(0, 1, 2, DemandKnown.selector);
    }

    function test_demandAudit_neverOpened_slashesTheGateway() public {
        _hasAudits = true;
        bytes32 id = _demandAudit(0, 1, 2, 0);
        vm.warp(START + ANSWER);
        vm.expectRevert(TooLate.selector);
        evidence.answerAudit(id, SECRET);
        evidence.endSilence(id);
        _assertEq(registry.accountOf(gateway).active, STAKE * 8 / 10);
    }

    /// Which answers are audited is the epoch's secret while it runs.
    function test_demandAudit_epochNotOver_reverts() public {
        _hasAudits = true;
        _demandAudit(0, 1, 1, NotProven.selector);
        _demandAudit(1, 0, 2, NotProven.selector);
    }

    function test_demandAudit_epochWithoutAudits_reverts() public {
        _demandAudit(0, 1, 2, NotProven.selector);
    }

    /// A commitment or a share that the log does not hold, under an entry that is there otherwise.
    function test_demandAudit_otherEntryThanLogged_reverts() public {
        _hasAudits = true;
        (Checkpoint memory head, LoggedEpoch memory epoch, LoggedEpoch memory later) = _epochs(1, 2, 0, 1);
        bytes memory by = _signed(head);
        vm.startPrank(stranger);
        epoch.entry.auditCommitment = "another";
        vm.expectRevert(NotProven.selector);
        evidence.demandAudit(head, by, epoch, later);
        (epoch.entry.auditCommitment, epoch.entry.auditPpm) = (later.entry.auditCommitment, 1);
        vm.expectRevert(NotProven.selector);
        evidence.demandAudit(head, by, epoch, later);
        vm.stopPrank();
    }

    function test_demandAudit_foreignLog_reverts() public {
        _hasAudits = true;
        (Checkpoint memory head, LoggedEpoch memory epoch, LoggedEpoch memory later) = _epochs(1, 2, 0, 1);
        bytes memory by = _sign(_providerKey(0), _harness.checkpointHash(head));
        vm.prank(stranger);
        vm.expectRevert(NotProven.selector);
        evidence.demandAudit(head, by, epoch, later);
    }

    // Steps

    function _demandAudit(uint64 place, uint64 laterPlace, uint32 second, bytes4 why) private returns (bytes32) {
        (Checkpoint memory head, LoggedEpoch memory epoch, LoggedEpoch memory later) =
            place == 0 ? _epochs(1, second, place, laterPlace) : _epochs(second, 1, place, laterPlace);
        bytes memory by = _signed(head);
        vm.prank(stranger);
        if (why != 0) vm.expectRevert(why);
        return evidence.demandAudit(head, by, epoch, later);
    }

    function _demandKey(uint32 index, uint64 place, uint64 laterPlace, uint32 second, bytes4 why)
        private
        returns (bytes32)
    {
        (Checkpoint memory head, LoggedEpoch memory epoch, LoggedEpoch memory later) =
            place == 0 ? _epochs(1, second, place, laterPlace) : _epochs(second, 1, place, laterPlace);
        bytes memory by = _signed(head);
        vm.prank(stranger);
        if (why != 0) vm.expectRevert(why);
        return evidence.demandKey(head, by, epoch, later, index);
    }
}
