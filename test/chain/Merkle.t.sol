// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Harness} from "./support/Harness.sol";
import {MerkleReference} from "./support/MerkleReference.sol";

/// @dev The log's trees: proofs of every leaf and of every older tree.
contract MerkleTest is MerkleReference {
    Harness private _harness;

    function setUp() public {
        _harness = new Harness();
    }

    function test_verifyInclusion_everyLeafOfEverySize_holdsThereAndNowhereElse() public view {
        _everyLeafStandsInItsPlaceOnly();
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

    function _hash(bytes memory text) internal pure override returns (bytes32) {
        return sha256(text);
    }

    function _includes(bytes32 leaf, uint64 index, uint64 size, bytes32[] memory path, bytes32 root)
        internal
        view
        override
        returns (bool)
    {
        return _harness.verifyInclusion(leaf, index, size, path, root);
    }
}
