// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Outcome, WrongState} from "../../contracts/chain/Rulings.sol";
import {TooEarly, TooLate} from "../../contracts/chain/registry/RegistryState.sol";
import {NotEnoughVoices} from "../../contracts/chain/rulings/RefereeSets.sol";
import {vm} from "./support/Vm.sol";
import {CaseSteps} from "./support/CaseSteps.sol";

contract AppealsTest is CaseSteps {
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

    /// Whoever appeals for another one has back what he put up, whether he was right or the larger set is silent.
    function test_appeal_byAThird_getsItsBondBack() public {
        for (uint256 i = 0; i < 2; ++i) {
            bytes32 caseId = _openCase(i);
            _rule(caseId, Outcome.Upheld, _none);
            vm.prank(_client());
            rulings.appeal(caseId);
            if (i == 0) {
                _ruleAppeal(caseId, Outcome.Rejected, _none);
            } else {
                _later(3 days);
                rulings.finalize(caseId, _none);
            }
            _assertEq(rulings.bonds(_client()), (i + 1) * 2 * BOND);
        }
        _assertEq(rulings.bonds(_provider(0)), BOND);
        _assertEq(rulings.bonds(stranger), BOND);
    }

    /// A rejection stands where the larger set is silent: who appealed it held the share for nothing, and so did who accused.
    function test_finalize_silentAppealOfARejection_givesBothBondsToTheAccused() public {
        bytes32 caseId = _openCase(0);
        _rule(caseId, Outcome.Rejected, _none);
        vm.prank(stranger);
        rulings.appeal(caseId);
        _later(3 days);
        rulings.finalize(caseId, _none);
        _assertEq(registry.accountOf(_provider(0)).frozen, 0);
        _assertEq(rulings.bonds(_provider(0)), 3 * BOND);
        require(rulings.caseOf(caseId).outcome == Outcome.None);
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
}
