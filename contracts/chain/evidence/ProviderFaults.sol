// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Hashes} from "../lib/Hashes.sol";
import {Claim, Messages, Opening} from "../lib/Messages.sol";
import {Conviction, Fault, NotProven} from "./Conviction.sol";

/// @title Faults of providers that their own signatures prove
abstract contract ProviderFaults is Conviction {
    /// @notice Two signed commitments for one (job, chunk).
    function proveTwoCommitments(
        bytes32 jobId,
        uint32 index,
        bytes32 first,
        bytes calldata firstSignature,
        bytes32 second,
        bytes calldata secondSignature,
        bytes32 salt
    ) external {
        if (first == second) revert NotProven();
        bytes32 firstHash = Messages.commitment(jobId, index, first);
        bytes32 secondHash = Messages.commitment(jobId, index, second);
        address key = _oneSigner(firstHash, firstSignature, secondHash, secondSignature);
        _convict(Fault.TwoCommitments, key, _pair(firstHash, secondHash), salt);
    }

    /// @notice Two different signed claims for one job. Of the second, what differs is enough: most words are the same.
    /// @param places where the second differs, the lowest bit for a claim's first word, which is the job and never differs
    /// @param words that the second has there
    function proveTwoClaims(
        Claim calldata first,
        bytes calldata firstSignature,
        uint16 places,
        bytes32[] calldata words,
        bytes calldata secondSignature,
        bytes32 salt
    ) external {
        bytes32 firstHash = Messages.hash(first);
        bytes32 secondHash = Messages.hashChanged(first, places, words);
        if (places & 1 == 1 || firstHash == secondHash) revert NotProven();
        address key = _oneSigner(firstHash, firstSignature, secondHash, secondSignature);
        _convict(Fault.TwoClaims, key, _pair(firstHash, secondHash), salt);
    }

    /// @notice A signed opening that does not hash to the signed commitment.
    function proveBadOpening(
        bytes32 commitment,
        bytes calldata commitmentSignature,
        Opening calldata opening,
        bytes calldata openingSignature,
        bytes32 salt
    ) external {
        bytes32 sealedHash = Messages.commitment(opening.jobId, opening.index, commitment);
        bytes32 openedHash = Messages.hash(opening);
        address key = _oneSigner(sealedHash, commitmentSignature, openedHash, openingSignature);
        if (Hashes.commitment(key, opening) == commitment) revert NotProven();
        _convict(Fault.BadOpening, key, _pair(sealedHash, openedHash), salt);
    }

    function _oneSigner(bytes32 firstHash, bytes calldata first, bytes32 secondHash, bytes calldata second)
        internal
        view
        returns (address key)
    {
        key = _signerOf(firstHash, first);
        if (key != _signerOf(secondHash, second)) revert NotProven();
    }

    /// @dev The same pair in either order is one evidence.
    function _pair(bytes32 a, bytes32 b) internal pure returns (bytes32) {
        return a < b ? keccak256(abi.encode(a, b)) : keccak256(abi.encode(b, a));
    }
}
