// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @dev Proofs of every leaf in trees of 1 to 14 leaves, made as RFC 6962 §2.1 defines them, by recursion and not as they are
/// verified; by either hash.
abstract contract MerkleReference {
    uint256 internal constant SIZE_MAX = 14;

    function _hash(bytes memory text) internal pure virtual returns (bytes32);

    /// @dev What is tested.
    function _includes(bytes32 leaf, uint64 index, uint64 size, bytes32[] memory path, bytes32 root)
        internal
        view
        virtual
        returns (bool);

    /// @dev Every leaf of every size stands where it is, and nowhere else.
    function _everyLeafStandsInItsPlaceOnly() internal view {
        for (uint256 size = 1; size <= SIZE_MAX; ++size) {
            bytes32 root = _root(0, size);
            for (uint256 i = 0; i < size; ++i) {
                bytes32[] memory path = _path(i, 0, size);
                for (uint64 j = 0; j <= size; ++j) {
                    require(_includes(_leaf(i), j, uint64(size), path, root) == (j == i));
                }
                _inclusionFailsIfChanged(i, size, path, root);
            }
        }
    }

    function _inclusionFailsIfChanged(uint256 i, uint256 size, bytes32[] memory path, bytes32 root) internal view {
        require(!_includes(_leaf(i + 100), uint64(i), uint64(size), path, root));
        require(!_includes(_leaf(i), uint64(i), uint64(size), path, ~root));
        require(!_includes(_leaf(i), uint64(i), uint64(size), _longer(path), root));
        // A path that goes on above the root of the tree that is named.
        require(!_includes(_leaf(i), uint64(i), uint64(size), _longer(path), _node(0, root)));
        require(!_includes(_leaf(i), uint64(i), uint64(size), _longer(path), _node(root, 0)));
        if (path.length == 0) return;
        require(!_includes(_leaf(i), uint64(i), uint64(size), _shorter(path), root));
        for (uint256 j = 0; j < path.length; ++j) {
            path[j] = ~path[j];
            require(!_includes(_leaf(i), uint64(i), uint64(size), path, root));
            path[j] = ~path[j];
        }
    }

    // RFC 6962 §2.1, as it is written there

    function _leaf(uint256 i) internal pure returns (bytes32) {
        return _hash(abi.encodePacked(bytes1(0), i));
    }

    function _node(bytes32 left, bytes32 right) internal pure returns (bytes32) {
        return _hash(abi.encodePacked(bytes1(0x01), left, right));
    }

    function _root(uint256 from, uint256 size) internal pure returns (bytes32) {
        if (size == 1) return _leaf(from);
        uint256 k = _split(size);
        return _node(_root(from, k), _root(from + k, size - k));
    }

    function _path(uint256 i, uint256 from, uint256 size) internal pure returns (bytes32[] memory) {
        if (size == 1) return new bytes32[](0);
        uint256 k = _split(size);
        return i < k ? _with(_path(i, from, k), _root(from + k, size - k)) : _with(_path(i - k, from + k, size - k), _root(from, k));
    }

    /// @dev SUBPROOF(m, D[n], b).
    function _consistency(uint256 older, uint256 from, uint256 size, bool whole) internal pure returns (bytes32[] memory) {
        if (older == size) {
            return whole ? new bytes32[](0) : _with(new bytes32[](0), _root(from, size));
        }
        uint256 k = _split(size);
        if (older <= k) return _with(_consistency(older, from, k, whole), _root(from + k, size - k));
        return _with(_consistency(older - k, from + k, size - k, false), _root(from, k));
    }

    /// @dev The largest power of two below `size`.
    function _split(uint256 size) internal pure returns (uint256 k) {
        k = 1;
        while (2 * k < size) k *= 2;
    }

    function _with(bytes32[] memory path, bytes32 last) internal pure returns (bytes32[] memory longer) {
        longer = _longer(path);
        longer[path.length] = last;
    }

    function _longer(bytes32[] memory path) internal pure returns (bytes32[] memory longer) {
        longer = new bytes32[](path.length + 1);
        for (uint256 i = 0; i < path.length; ++i) longer[i] = path[i];
    }

    function _shorter(bytes32[] memory path) internal pure returns (bytes32[] memory shorter) {
        shorter = new bytes32[](path.length - 1);
        for (uint256 i = 0; i < shorter.length; ++i) shorter[i] = path[i];
    }
}
