// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {JudgedFault, Outcome, Rulings, Windows} from "../../contracts/chain/Rulings.sol";
import {IStakeRegistry} from "../../contracts/chain/registry/IStakeRegistry.sol";
import {TimeOutOfBounds, TooEarly} from "../../contracts/chain/registry/RegistryState.sol";
import {AppealNotLarger, BadSet, NotEnoughVoices, RefereeSet} from "../../contracts/chain/rulings/RefereeSets.sol";
import {vm} from "./support/Vm.sol";
import {CaseSteps} from "./support/CaseSteps.sol";

contract RefereeSetsTest is CaseSteps {
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

    /// Whoever names the judges of others must be the owner.
    function test_proposeSets_byAStranger_reverts() public {
        vm.prank(stranger);
        vm.expectRevert();
        rulings.proposeSets(_set(8, 3, 2), _set(11, 5, 3));
        _assertEq(rulings.nextFrom(), 0);
    }

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

    function _none2() private pure returns (RefereeSet memory set) {}
}
