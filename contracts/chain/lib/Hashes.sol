// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Opening} from "./Messages.sol";

/// @title The protocol's tagged SHA-256 hashes (SPEC.md §1, §5, §8, §10)
library Hashes {
    /// @notice The hash that seals one chunk (SPEC.md §5.1).
    function commitment(address provider, Opening calldata opening) internal pure returns (bytes32) {
        return sha256(
            abi.encodePacked(
                "assay/commitment/1",
                bytes1(0),
                opening.jobId,
                provider,
                opening.index,
                opening.previous,
                opening.previousRoot,
                opening.tokenCount,
                opening.last,
                opening.tokensHash,
                opening.evidenceRoot,
                opening.salt
            )
        );
    }

    /// @notice Member leaf of a round (SPEC.md §5.2).
    function roundLeaf(bytes32 roundId, uint32 index, uint8 slot, bytes32 sealed_) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0x00), roundId, index, slot, sealed_));
    }

    /// @notice Hash over claim digests (SPEC.md §10.1).
    function claims(bytes32[] calldata digests) internal pure returns (bytes32) {
        return sha256(abi.encodePacked("assay/claims/1", bytes1(0), uint32(digests.length), digests));
    }

    /// @notice Leaf of one draw key (SPEC.md §8).
    function drawKeyLeaf(uint32 index, bytes32 key) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0x00), index, key));
    }

    /// @notice What an epoch's entry holds of the secret of its audits (SPEC.md §8.1).
    function auditCommitment(bytes32 secret) internal pure returns (bytes32) {
        return sha256(abi.encodePacked("assay/audit-commitment/1", bytes1(0), secret));
    }

    /// @notice Sampler key of choice `choice` (SPEC.md §4.4); choice 0 keeps the request's own.
    function choiceSeed(uint64 seed, uint32 choice) internal pure returns (uint64) {
        if (choice == 0) return seed;
        return uint64(bytes8(sha256(abi.encodePacked("assay/choice-seed/1", bytes1(0), seed, choice))));
    }

    /// @notice Seed of one draw (SPEC.md §8).
    function drawSeed(bytes32 key, bytes32 bodyHash, bytes32 nonceHash) internal pure returns (bytes32) {
        return hmac(key, abi.encodePacked("assay/draw/1", bytes1(0), bodyHash, nonceHash));
    }

    /// @notice Hash of a draw's whole order.
    function order(address[] memory members) internal pure returns (bytes32) {
        bytes memory packed;
        for (uint256 i = 0; i < members.length; ++i) packed = abi.encodePacked(packed, members[i]);
        return sha256(abi.encodePacked("assay/order/1", bytes1(0), uint32(members.length), packed));
    }

    /// @notice HMAC-SHA-256 (RFC 2104) with a key of 32 bytes.
    function hmac(bytes32 key, bytes memory message) internal pure returns (bytes32) {
        bytes32 inner = key ^ bytes32(uint256(0x3636363636363636363636363636363636363636363636363636363636363636));
        bytes32 outer = key ^ bytes32(uint256(0x5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c));
        bytes32 hashed = sha256(
            abi.encodePacked(
                inner, bytes32(uint256(0x3636363636363636363636363636363636363636363636363636363636363636)), message
            )
        );
        return sha256(
            abi.encodePacked(
                outer, bytes32(uint256(0x5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c)), hashed
            )
        );
    }
}
