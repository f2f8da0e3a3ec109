// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title Trees of earnings: shape and paths of SPEC.md §3, with Keccak-256 in place of SHA-256 (spec-chain.md C5)
/// @dev Nobody but a chain reads them, and there each step of a path costs a quarter.
library EarningsTree {
    /// @notice keccak256(0x00 ‖ payee ‖ cumulative): what a payee has earned in all.
    function leaf(address payee, uint128 cumulative) internal pure returns (bytes32 hash) {
        // SAFETY: 37 bytes behind the free memory pointer, of which each line writes over what the one before left too much.
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore8(free, 0)
            mstore(add(free, 1), shl(96, payee))
            mstore(add(free, 21), shl(128, cumulative))
            hash := keccak256(free, 37)
        }
    }

    /// @notice keccak256(0x01 ‖ left ‖ right).
    function node(bytes32 left, bytes32 right) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(bytes1(0x01), left, right));
    }

    /// @notice Whether `path` leads from `leaf_` at `index` to `root` in a tree of `size` leaves.
    /// @dev RFC 9162 §2.1.3.2 with both of its shifts at once: as long as index and last leaf differ above a level, the index'
    /// bit says on which side the hash stands; from there on it is the last of its level, and stands right once for each bit
    /// that is set.
    function includes(bytes32 leaf_, uint64 index, uint64 size, bytes32[] calldata path, bytes32 root)
        internal
        pure
        returns (bool holds)
    {
        if (index >= size) return false;
        // Above, where index and last leaf differ; below, the index five bits up, where a set bit is 32.
        uint256 bits = (uint256(index) ^ (uint256(size) - 1)) << 192 | uint256(index) << 5;
        // A third of what Solidity makes of it; a claim has one step a level. SAFETY: writes behind the free memory pointer
        // only. Words behind a path that is too short are read; the last line refuses them.
        assembly ("memory-safe") {
            let free := mload(0x40)
            let left := add(free, 1)
            let right := add(free, 33)
            mstore8(free, 1)
            let hash := leaf_
            let at := path.offset
            for {} shr(192, bits) { at := add(at, 32) } {
                let side := and(bits, 32)
                mstore(add(left, side), hash)
                mstore(sub(right, side), calldataload(at))
                hash := keccak256(free, 65)
                bits := shr(1, bits)
            }
            for { bits := shr(5, and(bits, sub(shl(128, 1), 1))) } bits { at := add(at, 32) } {
                mstore(left, calldataload(at))
                mstore(right, hash)
                hash := keccak256(free, 65)
                bits := and(bits, sub(bits, 1))
            }
            // All of the path was used, and no more.
            holds := and(eq(at, add(path.offset, shl(5, path.length))), eq(hash, root))
        }
    }
}
