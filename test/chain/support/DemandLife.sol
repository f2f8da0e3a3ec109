// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Demands, SealedChunk} from "../../../contracts/chain/evidence/Demands.sol";
import {Hashes} from "../../../contracts/chain/lib/Hashes.sol";
import {LogMerkle} from "../../../contracts/chain/lib/LogMerkle.sol";
import {Messages, Opening, Ticket} from "../../../contracts/chain/lib/Messages.sol";
import {CaseLife} from "./CaseLife.sol";
import {Harness} from "./Harness.sol";
import {NoOccasion} from "./StakeLife.sol";
import {vm} from "./Vm.sol";

/// @dev Demands against providers. The honest ghost answers in time.
abstract contract DemandLife is CaseLife {
    bytes32[] public demands;
    Harness internal _harness;
    mapping(bytes32 id => Opening) private _openings;

    function demand(uint8 who) external {
        uint256 i = who % 3;
        Opening memory opening;
        (opening.jobId, opening.salt) = (bytes32(++_nonce), bytes32(i));
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
