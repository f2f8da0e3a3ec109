// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {BadDivision, CaseKnown, Division, JudgedFault, Outcome, WrongState} from "../../contracts/chain/Rulings.sol";
import {NotController, NothingToMove, TooEarly, TooLate} from "../../contracts/chain/registry/RegistryState.sol";
import {NotEnoughVoices} from "../../contracts/chain/rulings/RefereeSets.sol";
import {vm} from "./support/Vm.sol";
import {CaseSteps} from "./support/CaseSteps.sol";

contract RulingsTest is CaseSteps {
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

    /// The accuser pays whom he held up, though nobody has said that he was wrong.
    function test_finalize_silentReferees_givesTheBondToTheAccused() public {
        bytes32 caseId = _openCase(0);
        vm.warp(START + 3 days - 1);
        vm.expectRevert(abi.encodeWithSelector(TooEarly.selector, START + 3 days));
        rulings.finalize(caseId, _none);
        vm.warp(START + 3 days);
        rulings.finalize(caseId, _none);
        _assertEq(registry.accountOf(_provider(0)).frozen, 0);
        _assertEq(rulings.bonds(_provider(0)), BOND);
        _assertEq(rulings.bonds(stranger), 0);
        // Nobody has appealed.
        _assertEq(rulings.bonds(address(0)), 0);
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

    // Steps

    function _ruleFails(bytes32 caseId, Division memory division) private {
        bytes[] memory voices = _voices(caseId, 0, Outcome.Upheld, division, 2);
        vm.expectRevert(BadDivision.selector);
        rulings.rule(caseId, Outcome.Upheld, division, voices);
    }
}
