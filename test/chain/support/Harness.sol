// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {AssayDomain} from "../../../contracts/chain/lib/AssayDomain.sol";
import {EarningsTree} from "../../../contracts/chain/lib/EarningsTree.sol";
import {EpochEntries, EpochEntry} from "../../../contracts/chain/lib/EpochEntries.sol";
import {Hashes} from "../../../contracts/chain/lib/Hashes.sol";
import {LogMerkle} from "../../../contracts/chain/lib/LogMerkle.sol";
import {
    Attestation,
    Checkpoint,
    Claim,
    Draw,
    Messages,
    Opening,
    RequestTerms,
    Ticket
} from "../../../contracts/chain/lib/Messages.sol";

/// @dev The library functions as calls, for tests and for the shared vectors.
contract Harness {
    function requestHash(RequestTerms calldata terms) external pure returns (bytes32) {
        return Messages.hash(terms);
    }

    function ticketHash(Ticket calldata ticket) external pure returns (bytes32) {
        return Messages.hash(ticket);
    }

    function commitmentHash(bytes32 jobId, uint32 index, bytes32 sealed_) external pure returns (bytes32) {
        return Messages.commitment(jobId, index, sealed_);
    }

    function permissionHash(bytes32 roundId, uint32 index, bytes32 root) external pure returns (bytes32) {
        return Messages.permission(roundId, index, root);
    }

    function openingHash(Opening calldata opening) external pure returns (bytes32) {
        return Messages.hash(opening);
    }

    function claimHash(Claim calldata claim) external pure returns (bytes32) {
        return Messages.hash(claim);
    }

    function changedClaimHash(Claim calldata claim, uint16 places, bytes32[] calldata words)
        external
        pure
        returns (bytes32)
    {
        return Messages.hashChanged(claim, places, words);
    }

    function attestationHash(Attestation calldata seal) external pure returns (bytes32) {
        return Messages.hash(seal);
    }

    function checkpointHash(Checkpoint calldata head) external pure returns (bytes32) {
        return Messages.hash(head);
    }

    function drawHash(Draw calldata draw) external pure returns (bytes32) {
        return Messages.hash(draw);
    }

    function commitment(address provider, Opening calldata opening) external pure returns (bytes32) {
        return Hashes.commitment(provider, opening);
    }

    function roundLeaf(bytes32 roundId, uint32 index, uint8 slot, bytes32 sealed_) external pure returns (bytes32) {
        return Hashes.roundLeaf(roundId, index, slot, sealed_);
    }

    function claims(bytes32[] calldata digests) external pure returns (bytes32) {
        return Hashes.claims(digests);
    }

    function auditCommitment(bytes32 secret) external pure returns (bytes32) {
        return Hashes.auditCommitment(secret);
    }

    function epochText(EpochEntry calldata entry) external pure returns (bytes memory) {
        return EpochEntries.text(entry);
    }

    function drawKeyLeaf(uint32 index, bytes32 key) external pure returns (bytes32) {
        return Hashes.drawKeyLeaf(index, key);
    }

    function drawSeed(bytes32 key, bytes32 bodyHash, bytes32 nonceHash) external pure returns (bytes32) {
        return Hashes.drawSeed(key, bodyHash, nonceHash);
    }

    function choiceSeed(uint64 seed, uint32 choice) external pure returns (uint64) {
        return Hashes.choiceSeed(seed, choice);
    }

    function earningsLeaf(address payee, uint128 cumulative) external pure returns (bytes32) {
        return EarningsTree.leaf(payee, cumulative);
    }

    function includesEarning(bytes32 leaf, uint64 index, uint64 size, bytes32[] calldata path, bytes32 root)
        external
        pure
        returns (bool)
    {
        return EarningsTree.includes(leaf, index, size, path, root);
    }

    function order(address[] calldata members) external pure returns (bytes32) {
        return Hashes.order(members);
    }

    function leafHash(bytes calldata entry) external pure returns (bytes32) {
        return LogMerkle.leafHash(entry);
    }

    function verifyInclusion(bytes32 leaf, uint64 index, uint64 size, bytes32[] calldata path, bytes32 root)
        external
        view
        returns (bool)
    {
        return LogMerkle.verifyInclusion(leaf, index, size, path, root);
    }

    function verifyConsistency(
        uint64 oldSize,
        bytes32 oldRoot,
        uint64 newSize,
        bytes32 newRoot,
        bytes32[] calldata path
    ) external view returns (bool) {
        return LogMerkle.verifyConsistency(oldSize, oldRoot, newSize, newRoot, path);
    }
}

/// @dev The domain alone, as a contract whose verifying contract is another one.
contract DomainHarness is AssayDomain {
    constructor(address verifyingContract) AssayDomain(verifyingContract) {}

    function signerOf(bytes32 structHash, bytes calldata signature) external view returns (address) {
        return _signerOf(structHash, signature);
    }

    function recover(bytes32 digest, bytes calldata signature) external pure returns (address) {
        return _recover(digest, signature);
    }
}
