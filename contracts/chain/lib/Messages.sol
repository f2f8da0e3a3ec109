// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @dev SPEC.md §2. Field order is part of the protocol; contracts/protocol/typed.ts hashes the same.

struct Ticket {
    bytes32 jobId;
    bytes32 requestHash;
    bytes32 roundId;
    address provider;
    uint8 kind;
    bytes32 jobHash;
    bytes32 padHash;
    uint64 inputNanoPerMtok;
    uint64 outputNanoPerMtok;
    uint64 issuedAtMs;
    uint64 expiresAtMs;
    uint64 retainUntilMs;
    bytes32 checkpoint;
}

struct Opening {
    bytes32 jobId;
    uint32 index;
    bytes32 previous;
    bytes32 previousRoot;
    uint32 tokenCount;
    bool last;
    bytes32 tokensHash;
    bytes32 evidenceRoot;
    bytes32 salt;
}

struct Claim {
    bytes32 jobId;
    bytes32 ticketHash;
    bytes32 requestHash;
    bytes32 roundId;
    address provider;
    bytes32 transcriptHash;
    bytes32 lastCommitment;
    bytes32 rootsHash;
    uint32 chunkCount;
    uint32 outputTokens;
    uint8 finish;
    bytes32 checkpoint;
}

struct RequestTerms {
    string model;
    bytes32 modelDigest;
    bytes32 promptHash;
    bytes32 samplingHash;
    uint64 seed;
    uint32 maxTokens;
    bytes32 nonce;
}

struct Attestation {
    string requestId;
    bytes32 requestHash;
    bytes32 contentHash;
    bytes32 claimsHash;
    uint8 verdict;
    uint64 logIndex;
    uint64 issuedAtMs;
    bytes32 statementHash;
}

struct Checkpoint {
    string origin;
    uint64 size;
    bytes32 root;
}

/// @notice The gateway's statement on one draw: the whole order that its opened key gives (spec-chain.md, "Draws").
struct Draw {
    uint32 epoch;
    uint32 index;
    bytes32 key;
    bytes32 bodyHash;
    bytes32 nonceHash;
    bytes32 modelDigest;
    bytes32 snapshotHash;
    bytes32 orderHash;
}

/// @title hashStruct of every message that a contract reads
library Messages {
    bytes32 private constant REQUEST = keccak256(
        "Request(string model,bytes32 modelDigest,bytes32 promptHash,bytes32 samplingHash,uint64 seed,uint32 maxTokens,bytes32 nonce)"
    );
    bytes32 private constant TICKET = keccak256(
        "Ticket(bytes32 jobId,bytes32 requestHash,bytes32 roundId,address provider,uint8 kind,bytes32 jobHash,bytes32 padHash,uint64 inputNanoPerMtok,uint64 outputNanoPerMtok,uint64 issuedAtMs,uint64 expiresAtMs,uint64 retainUntilMs,bytes32 checkpoint)"
    );
    bytes32 private constant COMMITMENT = keccak256("Commitment(bytes32 jobId,uint32 index,bytes32 commitment)");
    bytes32 private constant PERMISSION = keccak256("Permission(bytes32 roundId,uint32 index,bytes32 roundRoot)");
    bytes32 private constant REVEAL = keccak256(
        "Reveal(bytes32 jobId,uint32 index,bytes32 previous,bytes32 previousRoot,uint32 tokenCount,bool last,bytes32 tokensHash,bytes32 evidenceRoot,bytes32 salt)"
    );
    bytes32 private constant CLAIM = keccak256(
        "Claim(bytes32 jobId,bytes32 ticketHash,bytes32 requestHash,bytes32 roundId,address provider,bytes32 transcriptHash,bytes32 lastCommitment,bytes32 rootsHash,uint32 chunkCount,uint32 outputTokens,uint8 finish,bytes32 checkpoint)"
    );
    bytes32 private constant ATTESTATION = keccak256(
        "Attestation(string requestId,bytes32 requestHash,bytes32 contentHash,bytes32 claimsHash,uint8 verdict,uint64 logIndex,uint64 issuedAtMs,bytes32 statementHash)"
    );
    bytes32 private constant CHECKPOINT = keccak256("Checkpoint(string origin,uint64 size,bytes32 root)");
    bytes32 private constant DRAW = keccak256(
        "Draw(uint32 epoch,uint32 index,bytes32 key,bytes32 bodyHash,bytes32 nonceHash,bytes32 modelDigest,bytes32 snapshotHash,bytes32 orderHash)"
    );

    function hash(RequestTerms memory terms) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                REQUEST,
                keccak256(bytes(terms.model)),
                terms.modelDigest,
                terms.promptHash,
                terms.samplingHash,
                terms.seed,
                terms.maxTokens,
                terms.nonce
            )
        );
    }

    function hash(Ticket calldata ticket) internal pure returns (bytes32) {
        uint256 start;
        assembly ("memory-safe") {
            start := ticket
        }
        return _hashWords(TICKET, start, 13);
    }

    function commitment(bytes32 jobId, uint32 index, bytes32 sealed_) internal pure returns (bytes32) {
        return keccak256(abi.encode(COMMITMENT, jobId, index, sealed_));
    }

    function permission(bytes32 roundId, uint32 index, bytes32 roundRoot) internal pure returns (bytes32) {
        return keccak256(abi.encode(PERMISSION, roundId, index, roundRoot));
    }

    function hash(Opening calldata opening) internal pure returns (bytes32) {
        uint256 start;
        assembly ("memory-safe") {
            start := opening
        }
        return _hashWords(REVEAL, start, 9);
    }

    function hash(Claim calldata claim) internal pure returns (bytes32) {
        uint256 start;
        assembly ("memory-safe") {
            start := claim
        }
        return _hashWords(CLAIM, start, 12);
    }

    /// @notice The same of a claim that differs in some words.
    /// @param places which, the lowest bit for the first
    /// @param words that stand there, in their order. Whatever they are, a signature makes them a claim or nothing.
    function hashChanged(Claim calldata claim, uint16 places, bytes32[] calldata words)
        internal
        pure
        returns (bytes32 hashed)
    {
        bytes32 typeHash = CLAIM;
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, typeHash)
            calldatacopy(add(free, 32), claim, 384)
            let at := words.offset
            for { let place := add(free, 32) } places {} {
                if and(places, 1) {
                    mstore(place, calldataload(at))
                    at := add(at, 32)
                }
                place := add(place, 32)
                places := shr(1, places)
            }
            hashed := keccak256(free, 416)
        }
    }

    function hash(Attestation calldata seal) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                ATTESTATION,
                keccak256(bytes(seal.requestId)),
                seal.requestHash,
                seal.contentHash,
                seal.claimsHash,
                seal.verdict,
                seal.logIndex,
                seal.issuedAtMs,
                seal.statementHash
            )
        );
    }

    function hash(Checkpoint calldata head) internal pure returns (bytes32) {
        return checkpoint(keccak256(bytes(head.origin)), head.size, head.root);
    }

    function checkpoint(bytes32 originHash, uint64 size, bytes32 root) internal pure returns (bytes32) {
        return keccak256(abi.encode(CHECKPOINT, originHash, size, root));
    }

    function hash(Draw calldata draw) internal pure returns (bytes32) {
        uint256 start;
        assembly ("memory-safe") {
            start := draw
        }
        return _hashWords(DRAW, start, 8);
    }

    /// @dev keccak256(typeHash ‖ words of calldata): a struct of fixed size is encoded as it lies there.
    /// SAFETY: a word with dirty upper bits hashes to what nobody signed.
    function _hashWords(bytes32 typeHash, uint256 start, uint256 count) private pure returns (bytes32 hashed) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            let size := mul(count, 32)
            mstore(free, typeHash)
            calldatacopy(add(free, 32), start, size)
            hashed := keccak256(free, add(size, 32))
        }
    }
}
