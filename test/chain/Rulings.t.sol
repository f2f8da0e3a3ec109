// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {
    BadDivision,
    CaseKnown,
    Division,
    JudgedFault,
    Outcome,
    Rulings,
    Windows,
    WrongState
} from "../../contracts/chain/Rulings.sol";
import {IStakeRegistry} from "../../contracts/chain/registry/IStakeRegistry.sol";
import {
    NotController,
    NothingToMove,
    TimeOutOfBounds,
    TooEarly,
    TooLate
} from "../../contracts/chain/registry/RegistryState.sol";
import {AppealNotLarger, BadSet, NotEnoughVoices, RefereeSet} from "../../contracts/chain/rulings/RefereeSets.sol";
import {Base} from "./support/Base.sol";
import {vm} from "./support/Vm.sol";

contract RulingsTest is Base {
    Division private _none;

    function test_constructor_windowsOutOfBounds_reverts() public {
        _refused(Windows(1 hours - 1, 2 days, 2 days), _set(0, 3, 2), _set(3, 5, 3), TimeOutOfBounds.selector);
        _refused(Windows(6 days + 1, 2 days, 2 days), _set(0, 3, 2), _set(3, 5, 3), TimeOutOfBounds.selector);
        _refused(Windows(2 days, 0, 2 days), _set(0, 3, 2), _set(3, 5, 3), TimeOutOfBounds.selector);
        _refused(Windows(2 days, 2 days, 0), _set(0, 3, 2), _set(3, 5, 3), TimeOutOfBounds.selector);
        _accepted(Windows(1 hours, 6 days, 1 hours), _set(0, 1, 1), _set(3, 3, 2));
    }

    function test_constructor_badSets_reverts() public {
        Windows memory windows = Windows(1 days, 1 days, 1 days);
        _refused(windows, _set(0, 3, 2), _set(3, 3, 3), AppealNotLarger.selector);
        _refused(windows, _set(0, 3, 3), _set(3, 5, 3), AppealNotLarger.selector);
        _refused(windows, _set(0, 4, 2), _set(3, 5, 3), BadSet.selector);
        _refused(windows, _set(0, 3, 4), _set(3, 5, 5), BadSet.selector);
        _refused(windows, _set(0, 0, 0), _set(3, 5, 3), BadSet.selector);
        _refused(windows, _set(0, 3, 2), _set(3, 32, 17), BadSet.selector);
        RefereeSet memory twice = _set(0, 3, 2);
        twice.members[1] = twice.members[0];
        _refused(windows, twice, _set(3, 5, 3), BadSet.selector);
        RefereeSet memory zero = _set(0, 3, 2);
        zero.members[0] = address(0);
        _refused(windows, zero, _set(3, 5, 3), BadSet.selector);
        _accepted(windows, _set(0, 3, 2), _set(3, 31, 16));
    }

    function _refused(Windows memory windows, RefereeSet memory first, RefereeSet memory second, bytes4 why) private {
        vm.expectRevert(why);
        new Rulings(IStakeRegistry(address(registry)), owner, windows, BOND, first, second);
    }

    function _accepted(Windows memory windows, RefereeSet memory first, RefereeSet memory second) private {
        new Rulings(IStakeRegistry(address(registry)), owner, windows, BOND, first, second);
    }

    // Opening

    function test_openCase_freezesTheFaultsShare() public {
        bytes32 caseId = _openCase(0);
        _assertEq(registry.accountOf(_provider(0)).frozen, STAKE / 5);
        _assertEq(token.balanceOf(address(rulings)), BOND);
        _assertEq(rulings.caseOf(caseId).deadline, START + 3 days);
        _assertEq(rulings.caseOf(caseId).lapsesAt, START + 9 days);
        _assertEq(rulings.shareOf(JudgedFault.ModelSubstitution), 5_000);
        _assertEq(rulings.shareOf(JudgedFault.LyingScorer), 3_000);
        _assertEq(rulings.shareOf(JudgedFault.BadEvidence), 2_000);
        _assertEq(rulings.shareOf(JudgedFault.CopiedOutput), 2_000);
        _assertEq(rulings.disputeTime(), 9 days);
    }

    function test_openCase_twice_reverts() public {
        _openCase(0);
        vm.prank(stranger);
        vm.expectRevert(CaseKnown.selector);
        rulings.openCase(_provider(0), bytes32("dispute"), bytes32("bundle"), JudgedFault.WrongOutput);
    }

    /// A case opened with a wrong bundle does not keep the right one out; the dispute takes stake once all the same.
    function test_openCase_sameDispute_isSlashedOnce() public {
        bytes32 first = _openCase(0);
        vm.startPrank(stranger);
        bytes32 second = rulings.openCase(_provider(0), bytes32("dispute"), bytes32("other"), JudgedFault.WrongOutput);
        vm.stopPrank();
        _rule(first, Outcome.Upheld, _none);
        _rule(second, Outcome.Upheld, _none);
        _later(2 days);
        rulings.finalize(first, _none);
        rulings.finalize(second, _none);
        _assertEq(registry.accountOf(_provider(0)).active, STAKE * 8 / 10);
        _assertEq(registry.accountOf(_provider(0)).frozen, 0);
        vm.prank(stranger);
        vm.expectRevert(CaseKnown.selector);
        rulings.openCase(_provider(0), bytes32("dispute"), bytes32("third"), JudgedFault.WrongOutput);
    }

    // Ruling

    function test_rule_tooFewVoices_reverts() public {
        bytes32 caseId = _openCase(0);
        bytes[] memory voices = _voices(caseId, 0, Outcome.Upheld, _none, 1);
        vm.expectRevert(NotEnoughVoices.selector);
        rulings.rule(caseId, Outcome.Upheld, _none, voices);
    }

    function test_rule_oneVoiceTwice_reverts() public {
        bytes32 caseId = _openCase(0);
        bytes[] memory voices = _voices(caseId, 0, Outcome.Upheld, _none, 2);
        voices[1] = voices[0];
        vm.expectRevert(NotEnoughVoices.selector);
        rulings.rule(caseId, Outcome.Upheld, _none, voices);
    }

    function test_rule_signedForAnotherOutcomeDivisionOrInstance_reverts() public {
        bytes32 caseId = _openCase(0);
        bytes[] memory voices = _voices(caseId, 0, Outcome.Rejected, _none, 3);
        vm.expectRevert(NotEnoughVoices.selector);
        rulings.rule(caseId, Outcome.Upheld, _none, voices);
        voices = _voices(caseId, 0, Outcome.Upheld, _none, 3);
        vm.expectRevert(NotEnoughVoices.selector);
        rulings.rule(caseId, Outcome.Upheld, _division(stranger, 1, address(0)), voices);
        voices = _voices(caseId, 1, Outcome.Upheld, _none, 5);
        vm.expectRevert(NotEnoughVoices.selector);
        rulings.rule(caseId, Outcome.Upheld, _none, voices);
    }

    function test_rule_noOutcome_reverts() public {
        bytes32 caseId = _openCase(0);
        bytes[] memory voices = _voices(caseId, 0, Outcome.None, _none, 2);
        vm.expectRevert(WrongState.selector);
        rulings.rule(caseId, Outcome.None, _none, voices);
    }

    function test_rule_late_reverts() public {
        bytes32 caseId = _openCase(0);
        bytes[] memory voices = _voices(caseId, 0, Outcome.Upheld, _none, 2);
        _later(3 days);
        vm.expectRevert(TooLate.selector);
        rulings.rule(caseId, Outcome.Upheld, _none, voices);
    }

    function test_rule_twiceOrUnknown_reverts() public {
        bytes32 caseId = _openCase(0);
        _rule(caseId, Outcome.Upheld, _none);
        bytes[] memory voices = _voices(caseId, 0, Outcome.Upheld, _none, 2);
        vm.expectRevert(WrongState.selector);
        rulings.rule(caseId, Outcome.Upheld, _none, voices);
        vm.expectRevert(WrongState.selector);
        rulings.rule(bytes32("none"), Outcome.Upheld, _none, voices);
    }

    /// The judge is never paid out of what he takes: neither as client nor as one who was right, in neither set.
    function test_rule_judgeInDivision_reverts() public {
        bytes32 caseId = _openCase(0);
        address first = vm.addr(REFEREE_KEY);
        address second = vm.addr(REFEREE_KEY + 3);
        _ruleFails(caseId, _division(first, 1, address(0)));
        _ruleFails(caseId, _division(second, 1, address(0)));
        _ruleFails(caseId, _division(stranger, 1, first));
        _ruleFails(caseId, _division(stranger, 1, second));
    }

    /// What the registry would refuse is refused here, or the case could never end.
    function test_rule_divisionThatCannotSettle_reverts() public {
        bytes32 caseId = _openCase(0);
        Division memory division = _division(address(0), 0, stranger);
        division.right = new address[](2);
        (division.right[0], division.right[1]) = (stranger, stranger);
        _ruleFails(caseId, division);
        division.right[0] = address(0);
        _ruleFails(caseId, division);
        division.right = new address[](16);
        for (uint256 i = 0; i < 16; ++i) division.right[i] = address(uint160(i + 1));
        _ruleFails(caseId, division);
        division.right = new address[](15);
        for (uint256 i = 0; i < 15; ++i) division.right[i] = address(uint160(i + 1));
        _rule(caseId, Outcome.Upheld, division);
    }

    // Ends

    function test_finalize_beforeAppealWindowIsOver_reverts() public {
        bytes32 caseId = _openCase(0);
        _rule(caseId, Outcome.Upheld, _none);
        vm.warp(START + 2 days - 1);
        vm.expectRevert(abi.encodeWithSelector(TooEarly.selector, START + 2 days));
        rulings.finalize(caseId, _none);
    }

    function test_finalize_upheld_slashes() public {
        bytes32 caseId = _openCase(0);
        Division memory division = _division(_client(), 50_000, _provider(1));
        _rule(caseId, Outcome.Upheld, division);
        _later(2 days);
        vm.expectRevert(BadDivision.selector);
        rulings.finalize(caseId, _none);
        rulings.finalize(caseId, division);
        // 200,000: burned at least 40,000, client 50,000, right 60,000, the rest burned.
        _assertEq(registry.credits(_client()), 50_000);
        _assertEq(registry.credits(_provider(1)), 60_000);
        _assertEq(registry.credits(registry.BURN()), 90_000);
        _assertEq(rulings.bonds(stranger), BOND);
        vm.expectRevert(WrongState.selector);
        rulings.finalize(caseId, division);
        vm.expectRevert(WrongState.selector);
        rulings.finalize(bytes32("none"), division);
    }

    function test_finalize_rejected_givesTheBondToTheAccused() public {
        bytes32 caseId = _openCase(0);
        _rule(caseId, Outcome.Rejected, _none);
        _later(2 days);
        rulings.finalize(caseId, _none);
        _assertEq(registry.accountOf(_provider(0)).active, STAKE);
        _assertEq(registry.accountOf(_provider(0)).frozen, 0);
        _assertEq(rulings.bonds(_provider(0)), BOND);
        vm.prank(stranger);
        vm.expectRevert(NotController.selector);
        rulings.withdrawBond(_provider(0), stranger);
        vm.startPrank(_provider(0));
        rulings.withdrawBond(_provider(0), address(0xD0));
        vm.expectRevert(NothingToMove.selector);
        rulings.withdrawBond(_provider(0), address(0xD0));
        vm.stopPrank();
        _assertEq(token.balanceOf(address(0xD0)), BOND);
    }

    function test_finalize_silentReferees_givesAllBack() public {
        bytes32 caseId = _openCase(0);
        vm.warp(START + 3 days - 1);
        vm.expectRevert(abi.encodeWithSelector(TooEarly.selector, START + 3 days));
        rulings.finalize(caseId, _none);
        vm.warp(START + 3 days);
        rulings.finalize(caseId, _none);
        _assertEq(registry.accountOf(_provider(0)).frozen, 0);
        _assertEq(rulings.bonds(stranger), BOND);
    }

    /// Nobody ended the case while the share was held: the stake is free, and stays whole.
    function test_finalize_afterItLapsed_takesNothing() public {
        bytes32 caseId = _openCase(0);
        _rule(caseId, Outcome.Upheld, _none);
        _later(9 days);
        registry.release(address(rulings), caseId);
        rulings.finalize(caseId, _none);
        _assertEq(registry.accountOf(_provider(0)).active, STAKE);
        require(!rulings.upheld(_provider(0), bytes32("dispute")));
    }

    function test_finalize_lapsedAndNotReleased_releases() public {
        bytes32 caseId = _openCase(0);
        _rule(caseId, Outcome.Upheld, _none);
        _later(9 days);
        rulings.finalize(caseId, _none);
        _assertEq(registry.accountOf(_provider(0)).active, STAKE);
        _assertEq(registry.accountOf(_provider(0)).frozen, 0);
    }

    // Appeals

    function test_appeal_lateOrUnruled_reverts() public {
        bytes32 caseId = _openCase(0);
        vm.startPrank(stranger);
        vm.expectRevert(WrongState.selector);
        rulings.appeal(caseId);
        vm.stopPrank();
        _rule(caseId, Outcome.Upheld, _none);
        _later(2 days);
        vm.prank(stranger);
        vm.expectRevert(TooLate.selector);
        rulings.appeal(caseId);
    }

    function test_ruleAppeal_overturns_returnsTheAppealBond() public {
        bytes32 caseId = _appealed(Outcome.Upheld);
        _assertEq(token.balanceOf(address(rulings)), 3 * BOND);
        _ruleAppeal(caseId, Outcome.Rejected, _none);
        _assertEq(registry.accountOf(_provider(0)).active, STAKE);
        _assertEq(registry.accountOf(_provider(0)).frozen, 0);
        _assertEq(rulings.bonds(_provider(0)), 3 * BOND);
        require(rulings.caseOf(caseId).outcome == Outcome.Rejected);
    }

    function test_ruleAppeal_confirms_givesTheBondToTheOpener() public {
        bytes32 caseId = _appealed(Outcome.Upheld);
        _ruleAppeal(caseId, Outcome.Upheld, _none);
        _assertEq(registry.accountOf(_provider(0)).active, STAKE * 8 / 10);
        _assertEq(rulings.bonds(stranger), 3 * BOND);
    }

    function test_ruleAppeal_confirmsRejection_givesBothBondsToTheAccused() public {
        bytes32 caseId = _openCase(0);
        _rule(caseId, Outcome.Rejected, _none);
        vm.prank(stranger);
        rulings.appeal(caseId);
        _ruleAppeal(caseId, Outcome.Rejected, _none);
        _assertEq(rulings.bonds(_provider(0)), 3 * BOND);
    }

    function test_ruleAppeal_byFirstSetOrTooFew_reverts() public {
        bytes32 caseId = _appealed(Outcome.Upheld);
        bytes[] memory voices = _voices(caseId, 1, Outcome.Upheld, _none, 2);
        vm.expectRevert(NotEnoughVoices.selector);
        rulings.ruleAppeal(caseId, Outcome.Upheld, _none, voices);
        voices = _voices(caseId, 0, Outcome.Upheld, _none, 3);
        vm.expectRevert(NotEnoughVoices.selector);
        rulings.ruleAppeal(caseId, Outcome.Upheld, _none, voices);
        voices = _voices(caseId, 1, Outcome.Upheld, _none, 3);
        _later(3 days);
        vm.expectRevert(TooLate.selector);
        rulings.ruleAppeal(caseId, Outcome.Upheld, _none, voices);
    }

    function test_ruleAppeal_withoutAppeal_reverts() public {
        bytes32 caseId = _openCase(0);
        _rule(caseId, Outcome.Rejected, _none);
        bytes[] memory voices = _voices(caseId, 1, Outcome.Upheld, _none, 3);
        vm.expectRevert(WrongState.selector);
        rulings.ruleAppeal(caseId, Outcome.Upheld, _none, voices);
    }

    /// What the larger set was asked about and did not confirm takes no stake.
    function test_finalize_silentAppeal_givesAllBack() public {
        bytes32 caseId = _appealed(Outcome.Upheld);
        vm.expectRevert(abi.encodeWithSelector(TooEarly.selector, START + 3 days));
        rulings.finalize(caseId, _none);
        _later(3 days);
        rulings.finalize(caseId, _none);
        _assertEq(registry.accountOf(_provider(0)).active, STAKE);
        _assertEq(registry.accountOf(_provider(0)).frozen, 0);
        _assertEq(rulings.bonds(stranger), BOND);
        _assertEq(rulings.bonds(_provider(0)), 2 * BOND);
        require(rulings.caseOf(caseId).outcome == Outcome.None);
    }

    // Sets

    function test_activateSets_tooEarly_reverts() public {
        vm.expectRevert(abi.encodeWithSelector(TooEarly.selector, 0));
        rulings.activateSets();
        vm.prank(owner);
        rulings.proposeSets(_set(8, 3, 2), _set(11, 5, 3));
        vm.warp(START + 9 days - 1);
        vm.expectRevert(abi.encodeWithSelector(TooEarly.selector, START + 9 days));
        rulings.activateSets();
    }

    /// A case is judged by the sets under which it was opened.
    function test_activateSets_runningCaseKeepsItsJudges() public {
        vm.prank(owner);
        rulings.proposeSets(_set(8, 3, 2), _set(11, 5, 3));
        vm.warp(START + 9 days);
        bytes32 caseId = _openCase(0);
        rulings.activateSets();
        _assertEq(rulings.version(), 2);
        _assertEq(rulings.nextFrom(), 0);
        require(rulings.isReferee(2, 0, vm.addr(REFEREE_KEY + 8)) && !rulings.isReferee(2, 0, vm.addr(REFEREE_KEY)));
        _rule(caseId, Outcome.Upheld, _none);
        vm.prank(stranger);
        bytes32 next = rulings.openCase(_provider(1), "d", "b", JudgedFault.WrongOutput);
        bytes[] memory voices = _voices(next, 0, Outcome.Upheld, _none, 2);
        vm.expectRevert(NotEnoughVoices.selector);
        rulings.rule(next, Outcome.Upheld, _none, voices);
    }

    function test_proposeSets_replacedProposal_leavesNobodyBehind() public {
        vm.startPrank(owner);
        rulings.proposeSets(_set(8, 3, 2), _set(11, 5, 3));
        rulings.proposeSets(_set(16, 3, 2), _set(19, 5, 3));
        vm.stopPrank();
        _later(9 days);
        rulings.activateSets();
        require(!rulings.isReferee(2, 0, vm.addr(REFEREE_KEY + 8)));
        require(!rulings.isReferee(2, 1, vm.addr(REFEREE_KEY + 11)));
        require(rulings.isReferee(2, 1, vm.addr(REFEREE_KEY + 19)));
        require(rulings.isReferee(1, 0, vm.addr(REFEREE_KEY)) && rulings.isReferee(1, 1, vm.addr(REFEREE_KEY + 3)));
    }

    function test_proposeSets_stranger_reverts() public {
        vm.prank(stranger);
        vm.expectRevert();
        rulings.proposeSets(_none2(), _none2());
    }

    // Steps

    function _none2() private pure returns (RefereeSet memory set) {}

    function _rule(bytes32 caseId, Outcome outcome, Division memory division) private {
        rulings.rule(caseId, outcome, division, _voices(caseId, 0, outcome, division, 2));
    }

    function _ruleFails(bytes32 caseId, Division memory division) private {
        bytes[] memory voices = _voices(caseId, 0, Outcome.Upheld, division, 2);
        vm.expectRevert(BadDivision.selector);
        rulings.rule(caseId, Outcome.Upheld, division, voices);
    }

    function _appealed(Outcome outcome) private returns (bytes32 caseId) {
        caseId = _openCase(0);
        _rule(caseId, outcome, _none);
        vm.prank(_provider(0));
        rulings.appeal(caseId);
    }

    function _ruleAppeal(bytes32 caseId, Outcome outcome, Division memory division) private {
        rulings.ruleAppeal(caseId, outcome, division, _voices(caseId, 1, outcome, division, 3));
    }
}
