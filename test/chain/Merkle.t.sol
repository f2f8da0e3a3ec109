// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Harness} from "./support/Harness.sol";

/// @dev Proofs of every leaf and every older tree in trees of 1 to 14 leaves, made as RFC 6962 §2.1 defines them, by recursion and not as
/// they are verified.
contract MerkleTest {
    uint256 private constant SIZE_MAX = 14;
    Harness private _harness;

    function setUp() public {
        _harness = new Harness();
    }

    function test_verifyInclusion_everyLeafOfEverySize_holdsThereAndNowhereElse() public view {
        for (uint256 size = 1; size <= SIZE_MAX; ++size) {
            bytes32 root = _root(0, size);
            for (uint256 i = 0; i < size; ++i) {
                bytes32[] memory path = _path(i, 0, size);
                for (uint64 j = 0; j <= size; ++j) {
                    require(_harness.verifyInclusion(_leaf(i), j, uint64(size), path, root) == (j == i));
                }
                _inclusionFailsIfChanged(i, size, path, root);
            }
        }
    }

    function _inclusionFailsIfChanged(uint256 i, uint256 size, bytes32[] memory path, bytes32 root) private view {
        require(!_harness.verifyInclusion(_leaf(i + 100), uint64(i), uint64(size), path, root));
        require(!_harness.verifyInclusion(_leaf(i), uint64(i), uint64(size), path, ~root));
        require(!_harness.verifyInclusion(_leaf(i), uint64(i), uint64(size), _longer(path), root));
        // A path that goes on above the root of the tree that is named.
        require(!_harness.verifyInclusion(_leaf(i), uint64(i), uint64(size), _longer(path), _node(0, root)));
        require(!_harness.verifyInclusion(_leaf(i), uint64(i), uint64(size), _longer(path), _node(root, 0)));
        if (path.length == 0) return;
        require(!_harness.verifyInclusion(_leaf(i), uint64(i), uint64(size), _shorter(path), root));
        for (uint256 j = 0; j < path.length; ++j) {
            path[j] = ~path[j];
            require(!_harness.verifyInclusion(_leaf(i), uint64(i), uint64(size), path, root));
            path[j] = ~path[j];
        }
    }

    function test_verifyInclusion_emptyTree_fails() public view {
        require(!_harness.verifyInclusion(_leaf(0), 0, 0, new bytes32[](0), _leaf(0)));
    }

    /// Second preimage: 64 bytes that hash like an inner node are no leaf, and an inner node stands nowhere as one.
    function test_verifyInclusion_innerNodeAsLeaf_fails() public view {
        bytes32 node = _node(_leaf(0), _leaf(1));
        bytes32[] memory path = new bytes32[](1);
        path[0] = _node(_leaf(2), _leaf(3));
        for (uint64 size = 1; size <= 4; ++size) {
            for (uint64 j = 0; j < size; ++j) {
                require(size == 2 && j == 0 || !_harness.verifyInclusion(node, j, size, path, _root(0, 4)));
            }
        }
        require(_harness.leafHash(abi.encodePacked(_leaf(0), _leaf(1))) != node);
    }

    function test_verifyConsistency_everyOlderTree_holdsAndNoOther() public view {
        for (uint256 size = 1; size <= SIZE_MAX; ++size) {
            for (uint256 older = 1; older <= size; ++older) {
                bytes32[] memory path = older == size ? new bytes32[](0) : _consistency(older, 0, size, true);
                for (uint64 claimed = 0; claimed <= size + 1; ++claimed) {
                    bool holds = _harness.verifyConsistency(claimed, _root(0, older), uint64(size), _root(0, size), path);
                    require(holds == (claimed == older));
                }
                _consistencyFailsIfChanged(uint64(older), uint64(size), path);
            }
        }
    }

    function _consistencyFailsIfChanged(uint64 older, uint64 size, bytes32[] memory path) private view {
        (bytes32 before, bytes32 root) = (_root(0, older), _root(0, size));
        require(!_harness.verifyConsistency(older, ~before, size, root, path));
        require(!_harness.verifyConsistency(older, before, size, ~root, path));
        require(!_harness.verifyConsistency(older, before, size, root, _longer(path)));
        require(!_harness.verifyConsistency(older, _node(0, before), size, _node(0, root), _longer(path)));
        require(!_harness.verifyConsistency(older, before, size, _node(root, 0), _longer(path)));
        if (path.length == 0) return;
        require(!_harness.verifyConsistency(older, before, size, root, _shorter(path)));
        require(!_harness.verifyConsistency(older, before, size, root, new bytes32[](0)));
        for (uint256 j = 0; j < path.length; ++j) {
            path[j] = ~path[j];
            require(!_harness.verifyConsistency(older, before, size, root, path));
            path[j] = ~path[j];
        }
    }

    // RFC 6962 §2.1, as it is written there

    function _leaf(uint256 i) private pure returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0), i));
    }

    function _node(bytes32 left, bytes32 right) private pure returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0x01), left, right));
    }

    function _root(uint256 from, uint256 size) private pure returns (bytes32) {
        if (size == 1) return _leaf(from);
        uint256 k = _split(size);
        return _node(_root(from, k), _root(from + k, size - k));
    }

    function _path(uint256 i, uint256 from, uint256 size) private pure returns (bytes32[] memory) {
        if (size == 1) return new bytes32[](0);
        uint256 k = _split(size);
        return i < k ? _with(_path(i, from, k), _root(from + k, size - k)) : _with(_path(i - k, from + k, size - k), _root(from, k));
    }

    /// @dev SUBPROOF(m, D[n], b).
    function _consistency(uint256 older, uint256 from, uint256 size, bool whole) private pure returns (bytes32[] memory) {
        if (older == size) {
            return whole ? new bytes32[](0) : _with(new bytes32[](0), _root(from, size));
        }
        uint256 k = _split(size);
        if (older <= k) return _with(_consistency(older, from, k, whole), _root(from + k, size - k));
        return _with(_consistency(older - k, from + k, size - k, false), _root(from, k));
    }

    /// @dev The largest power of two below `size`.
    function _split(uint256 size) private pure returns (uint256 k) {
        k = 1;
        while (2 * k < size) k *= 2;
    }

    function _with(bytes32[] memory path, bytes32 last) private pure returns (bytes32[] memory longer) {
        longer = _longer(path);
        longer[path.length] = last;
    }

    function _longer(bytes32[] memory path) private pure returns (bytes32[] memory longer) {
        longer = new bytes32[](path.length + 1);
        for (uint256 i = 0; i < path.length; ++i) longer[i] = path[i];
    }

    function _shorter(bytes32[] memory path) private pure returns (bytes32[] memory shorter) {
        shorter = new bytes32[](path.length - 1);
        for (uint256 i = 0; i < shorter.length; ++i) shorter[i] = path[i];
    }
}
