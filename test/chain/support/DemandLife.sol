// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Demands} from "../../../contracts/chain/evidence/Demands.sol";
import {Opening} from "../../../contracts/chain/lib/Messages.sol";
import {CaseLife} from "./CaseLife.sol";
import {NoOccasion} from "./StakeLife.sol";

/// @dev Demands against providers. The honest ghost answers in time.
abstract contract DemandLife is CaseLife {
    bytes32[] public demands;
    mapping(bytes32 id => Opening) private _openings;

    function demand(uint8 who) external {
        uint256 i = who % 3;
        Opening memory opening;
        (opening.jobId, opening.salt) = (bytes32(++_nonce), bytes32(i));
        demands.push(_demandOf(stranger, GATEWAY_KEY, _keyOf(i), opening));
        _openings[demands[demands.length - 1]] = opening;
    }

    function answer(uint256 which) external {
        for (uint256 k = 0; k < demands.length; ++k) {
            if (_answer(demands[_at(which, k, demands.length)])) return;
        }
        revert NoOccasion();
    }

    function endSilence(uint256 which) external {
        for (uint256 k = 0; k < demands.length; ++k) {
            bytes32 id = demands[_at(which, k, demands.length)];
            if (evidence.demandOf(id).status != Demands.Status.Open) continue;
            try evidence.endSilence(id) {
                return;
            } catch {}
        }
        revert NoOccasion();
    }

    function dropDemand(uint256 which) external {
        for (uint256 k = 0; k < demands.length; ++k) {
            try evidence.dropDemand(demands[_at(which, k, demands.length)]) {
                return;
            } catch {}
        }
        revert NoOccasion();
    }

    function _answer(bytes32 id) private returns (bool) {
        Demands.Demand memory open = evidence.demandOf(id);
        if (open.status != Demands.Status.Open || block.timestamp >= open.answerBy) return false;
        evidence.answerOpening(id, _openings[id]);
        return true;
    }

    function _answerForTheHonest() internal {
        for (uint256 i = 0; i < demands.length; ++i) {
            if (evidence.demandOf(demands[i]).account == _provider(0)) _answer(demands[i]);
        }
    }
}
