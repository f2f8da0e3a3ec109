// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Division, Outcome} from "../../../contracts/chain/Rulings.sol";
import {Base} from "./Base.sol";
import {vm} from "./Vm.sol";

/// @dev Steps of cases.
abstract contract CaseSteps is Base {
    Division internal _none;

    function _rule(bytes32 caseId, Outcome outcome, Division memory division) internal {
        rulings.rule(caseId, outcome, division, _voices(caseId, 0, outcome, division, 2));
    }

    function _appealed(Outcome outcome) internal returns (bytes32 caseId) {
        caseId = _openCase(0);
        _rule(caseId, outcome, _none);
        vm.prank(_provider(0));
        rulings.appeal(caseId);
    }

    function _ruleAppeal(bytes32 caseId, Outcome outcome, Division memory division) internal {
        rulings.ruleAppeal(caseId, outcome, division, _voices(caseId, 1, outcome, division, 3));
    }
}
