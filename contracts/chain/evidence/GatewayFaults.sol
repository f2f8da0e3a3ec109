// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";
import {Hashes} from "../lib/Hashes.sol";
import {LogMerkle} from "../lib/LogMerkle.sol";
import {Attestation, Checkpoint, Claim, Messages, RequestTerms} from "../lib/Messages.sol";
import {Fault, NotProven} from "./Conviction.sol";
import {ProviderFaults} from "./ProviderFaults.sol";

/// @notice A leaf of a signed log head.
struct LogLeaf {
    bytes32 leaf;
    uint64 index;
    bytes32[] path;
}

/// @title Faults of gateways that their own signatures prove
abstract contract GatewayFaults is ProviderFaults {
    /// @dev Most choices of one answer (SPEC.md §1).
    uint32 private constant CHOICES_MAX = 128;

    /// @notice Two signed roots for one round.
    function proveTwoRoots(
        bytes32 roundId,
        uint32 index,
        bytes32 first,
        bytes calldata firstSignature,
        bytes32 second,
        bytes calldata secondSignature,
        bytes32 salt
    ) external {
        if (first == second) revert NotProven();
        bytes32 firstHash = Messages.permission(roundId, index, first);
        bytes32 secondHash = Messages.permission(roundId, index, second);
        address key = _oneSigner(firstHash, firstSignature, secondHash, secondSignature);
        _convict(Fault.TwoRoots, key, _pair(firstHash, secondHash), salt);
    }

    /// @notice Two signed checkpoints of one log and size with different roots.
    function proveForkedLog(
        Checkpoint calldata first,
        bytes calldata firstSignature,
        Checkpoint calldata second,
        bytes calldata secondSignature,
        bytes32 salt
    ) external {
        if (first.size != second.size || first.root == second.root) revert NotProven();
        address key = _oneLog(first, firstSignature, second, secondSignature);
        _convict(Fault.ForkedLog, key, _pair(Messages.hash(first), Messages.hash(second)), salt);
    }

    /// @notice Two signed checkpoints of one log that hold different leaves at one index.
    function proveRewrittenLog(
        Checkpoint calldata first,
        bytes calldata firstSignature,
        LogLeaf calldata firstLeaf,
        Checkpoint calldata second,
        bytes calldata secondSignature,
        LogLeaf calldata secondLeaf,
        bytes32 salt
    ) external {
        if (firstLeaf.index != secondLeaf.index || firstLeaf.leaf == secondLeaf.leaf) revert NotProven();
        _inLog(first, firstLeaf);
        _inLog(second, secondLeaf);
        address key = _oneLog(first, firstSignature, second, secondSignature);
        _convict(Fault.ForkedLog, key, _pair(Messages.hash(first), Messages.hash(second)), salt);
    }

    /// @notice An attestation whose place in the log holds something else.
    /// @param entry text of the entry at the attestation's log index
    function proveNotLogged(
        Attestation calldata seal,
        bytes calldata sealSignature,
        Checkpoint calldata head,
        bytes calldata headSignature,
        bytes calldata entry,
        bytes32[] calldata path,
        bytes32 salt
    ) external {
        bytes32 leaf = LogMerkle.leafHash(entry);
        if (!LogMerkle.verifyInclusion(leaf, seal.logIndex, head.size, path, head.root)) revert NotProven();
        if (_endsAsAnswer(entry, seal.statementHash)) revert NotProven();
        bytes32 sealHash = Messages.hash(seal);
        bytes32 headHash = Messages.hash(head);
        address key = _signerOf(sealHash, sealSignature);
        _ofLog(key, _signerOf(headHash, headSignature), head);
        _convict(Fault.AttestationAgainstLog, key, _pair(sealHash, headHash), salt);
    }

    /// @notice An attestation that lists one claim twice.
    function proveRepeatedClaim(
        Attestation calldata seal,
        bytes calldata signature,
        bytes32[] calldata digests,
        uint256 i,
        uint256 j,
        bytes32 salt
    ) external {
        if (i == j || digests[i] != digests[j]) revert NotProven();
        _convictOfClaims(seal, signature, digests, salt);
    }

    /// @notice An attestation that lists a claim about another request.
    /// @param terms of the attested request: every choice's request hash follows from them
    function proveForeignClaim(
        Attestation calldata seal,
        bytes calldata signature,
        bytes32[] calldata digests,
        uint256 place,
        Claim calldata claim,
        RequestTerms calldata terms,
        bytes32 salt
    ) external {
        if (digestOf(Messages.hash(claim)) != digests[place]) revert NotProven();
        RequestTerms memory choice = terms;
        if (Messages.hash(choice) != seal.requestHash) revert NotProven();
        uint64 seed = terms.seed;
        for (uint32 c = 0; c < CHOICES_MAX; ++c) {
            choice.seed = Hashes.choiceSeed(seed, c);
            if (Messages.hash(choice) == claim.requestHash) revert NotProven();
        }
        _convictOfClaims(seal, signature, digests, salt);
    }

    function _convictOfClaims(
        Attestation calldata seal,
        bytes calldata signature,
        bytes32[] calldata digests,
        bytes32 salt
    ) private {
        if (Hashes.claims(digests) != seal.claimsHash) revert NotProven();
        bytes32 sealHash = Messages.hash(seal);
        _convict(Fault.AttestationAgainstClaims, _signerOf(sealHash, signature), sealHash, salt);
    }

    /// @dev Signers of both heads belong to one account, whose log both are of.
    function _oneLog(
        Checkpoint calldata first,
        bytes calldata firstSignature,
        Checkpoint calldata second,
        bytes calldata secondSignature
    ) private view returns (address key) {
        key = _signerOf(Messages.hash(first), firstSignature);
        _ofLog(key, key, first);
        _ofLog(key, _signerOf(Messages.hash(second), secondSignature), second);
    }

    function _inLog(Checkpoint calldata head, LogLeaf calldata leaf) private view {
        if (!LogMerkle.verifyInclusion(leaf.leaf, leaf.index, head.size, leaf.path, head.root)) revert NotProven();
    }

    /// @dev Members of a canonical entry are sorted, so an `answer` entry ends in its statement hash and type.
    function _endsAsAnswer(bytes calldata entry, bytes32 statementHash) private pure returns (bool) {
        bytes memory end = abi.encodePacked(
            ',"statementHash":"', Strings.toHexString(uint256(statementHash), 32), '","type":"answer"}'
        );
        return entry.length > end.length && keccak256(entry[entry.length - end.length:]) == keccak256(end);
    }
}
