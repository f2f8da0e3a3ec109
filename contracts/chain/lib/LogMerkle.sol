// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title Merkle proofs with RFC 6962 hashing (SPEC.md §3), verified as in RFC 9162 §2.1.3.2 and §2.1.4.2
library LogMerkle {
    /// @notice sha256(0x00 ‖ entry).
    function leafHash(bytes memory entry) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0x00), entry));
    }

    /// @notice sha256(0x01 ‖ left ‖ right).
    function nodeHash(bytes32 left, bytes32 right) internal view returns (bytes32 hash) {
        // A third of what Solidity makes of it; a proof has one call a level. SAFETY: writes behind the free memory
        // pointer and into scratch space only. The precompile at 2 fails only without gas, as does all after it.
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore8(free, 1)
            mstore(add(free, 1), left)
            mstore(add(free, 33), right)
            if iszero(staticcall(gas(), 2, free, 65, 0, 32)) { revert(0, 0) }
            hash := mload(0)
        }
    }

    /// @notice Whether `path` leads from `leaf` at `index` to `root` in a tree of `size` leaves.
    function verifyInclusion(bytes32 leaf, uint64 index, uint64 size, bytes32[] calldata path, bytes32 root)
        internal
        view
        returns (bool)
    {
        if (index >= size) return false;
        uint256 node = index;
        uint256 last = uint256(size) - 1;
        bytes32 hash = leaf;
        uint256 count = path.length;
        for (uint256 i = 0; i < count;) {
            if (last == 0) return false;
            bytes32 beside = _at(path, i);
            if (node & 1 == 1 || node == last) {
                hash = nodeHash(beside, hash);
                while (node & 1 == 0 && node != 0) {
                    node >>= 1;
                    last >>= 1;
                }
            } else {
                hash = nodeHash(hash, beside);
            }
            node >>= 1;
            last >>= 1;
            // SAFETY: a path is no longer than the calldata.
            unchecked {
                ++i;
            }
        }
        return last == 0 && hash == root;
    }

    /// @notice Whether a tree of `newSize` and `newRoot` extends one of `oldSize` and `oldRoot`.
    function verifyConsistency(
        uint64 oldSize,
        bytes32 oldRoot,
        uint64 newSize,
        bytes32 newRoot,
        bytes32[] calldata path
    ) internal view returns (bool) {
        if (oldSize < 1 || oldSize > newSize) return false;
        if (oldSize == newSize) return path.length == 0 && oldRoot == newRoot;
        uint64 node = oldSize - 1;
        uint64 last = newSize - 1;
        // A whole subtree of 2^k leaves is its own root, so the proof leaves it out.
        bool whole = oldSize & node == 0;
        if (!whole && path.length == 0) return false;
        while (node & 1 == 1) {
            node >>= 1;
            last >>= 1;
        }
        bytes32 older = whole ? oldRoot : path[0];
        bytes32 newer = older;
        for (uint256 i = whole ? 0 : 1; i < path.length; ++i) {
            if (last == 0) return false;
            if (node & 1 == 1 || node == last) {
                older = nodeHash(path[i], older);
                newer = nodeHash(path[i], newer);
                while (node & 1 == 0 && node != 0) {
                    node >>= 1;
                    last >>= 1;
                }
            } else {
                newer = nodeHash(newer, path[i]);
            }
            node >>= 1;
            last >>= 1;
        }
        return last == 0 && older == oldRoot && newer == newRoot;
    }

    /// @dev A word of a path without a second look at its length. SAFETY: `i` must be below `path.length`.
    function _at(bytes32[] calldata path, uint256 i) private pure returns (bytes32 word) {
        assembly ("memory-safe") {
            word := calldataload(add(path.offset, shl(5, i)))
        }
    }
}
