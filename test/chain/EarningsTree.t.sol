// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Harness} from "./support/Harness.sol";
import {MerkleReference} from "./support/MerkleReference.sol";

/// @dev Trees of earnings: the log's, with another hash and another way to walk a path.
contract EarningsTreeTest is MerkleReference {
    Harness private _harness;

    function setUp() public {
        _harness = new Harness();
    }

    function test_includes_everyLeafOfEverySize_holdsThereAndNowhereElse() public view {
        _everyLeafStandsInItsPlaceOnly();
    }

    function test_includes_emptyTree_fails() public view {
        require(!_harness.includesEarning(_leaf(0), 0, 0, new bytes32[](0), _leaf(0)));
    }

    /// The largest tree there can be: all 64 levels, from its first leaf and from its last.
    function test_includes_largestTree_takesEveryLevel() public view {
        bytes32[] memory path = new bytes32[](64);
        (bytes32 first, bytes32 last) = (_leaf(0), _leaf(1));
        uint64 index = type(uint64).max - 1;
        for (uint256 i = 0; i < 64; ++i) {
            path[i] = bytes32(i);
            first = _node(first, path[i]);
            last = i == 0 ? last : _node(path[i], last);
        }
        require(_harness.includesEarning(_leaf(0), 0, type(uint64).max, path, first));
        require(!_harness.includesEarning(_leaf(0), 1, type(uint64).max, path, first));
        // The last leaf of an odd tree moves up as it is: one level less.
        require(_harness.includesEarning(_leaf(1), index, type(uint64).max, _withoutFirst(path), last));
        require(!_harness.includesEarning(_leaf(1), index, type(uint64).max, path, last));
        require(!_harness.includesEarning(_leaf(1), type(uint64).max, type(uint64).max, _withoutFirst(path), last));
    }

    /// Second preimage: 64 bytes that hash like an inner node are no leaf.
    function test_includes_innerNodeAsLeaf_fails() public view {
        bytes32 node = _node(_leaf(0), _leaf(1));
        bytes32[] memory path = new bytes32[](1);
        path[0] = _node(_leaf(2), _leaf(3));
        for (uint64 size = 1; size <= 4; ++size) {
            for (uint64 j = 0; j < size; ++j) {
                require(size == 2 && j == 0 || !_harness.includesEarning(node, j, size, path, _root(0, 4)));
            }
        }
    }

    function _withoutFirst(bytes32[] memory path) private pure returns (bytes32[] memory rest) {
        rest = new bytes32[](path.length - 1);
        for (uint256 i = 0; i < rest.length; ++i) rest[i] = path[i + 1];
    }

    function _hash(bytes memory text) internal pure override returns (bytes32) {
        return keccak256(text);
    }

    function _includes(bytes32 leaf, uint64 index, uint64 size, bytes32[] memory path, bytes32 root)
        internal
        view
        override
        returns (bool)
    {
        return _harness.includesEarning(leaf, index, size, path, root);
    }
}
