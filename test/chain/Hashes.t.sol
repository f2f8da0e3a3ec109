// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {EarningsTree} from "../../contracts/chain/lib/EarningsTree.sol";
import {Hashes} from "../../contracts/chain/lib/Hashes.sol";

/// @dev Hashes against what others published, or written out word by word. The shared vectors say the same of all of them on a running chain.
contract HashesTest {
    /// RFC 4231 §4.2 and §4.3: a key is filled up with zeros, so that shorter ones can be given as 32 bytes.
    function test_hmac_rfc4231() public pure {
        bytes32 key = bytes32(hex"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b000000000000000000000000");
        require(Hashes.hmac(key, "Hi There") == 0xb0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7);
        bytes memory asked = "what do ya want for nothing?";
        require(Hashes.hmac("Jefe", asked) == 0x5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843);
    }

    function test_choiceSeed_firstKeepsTheRequests() public pure {
        require(Hashes.choiceSeed(9, 0) == 9);
        bytes32 hashed = sha256(abi.encodePacked("assay/choice-seed/1", bytes1(0), uint64(9), uint32(1)));
        require(Hashes.choiceSeed(9, 1) == uint64(uint256(hashed) >> 192));
    }

    function test_order_countsAndTakesEachInTurn() public pure {
        address[] memory members = new address[](2);
        (members[0], members[1]) = (address(0x1), address(0x2));
        bytes memory text = abi.encodePacked("assay/order/1", bytes1(0), uint32(2), address(0x1), address(0x2));
        require(Hashes.order(members) == sha256(text));
        require(Hashes.order(new address[](0)) == sha256(abi.encodePacked("assay/order/1", bytes1(0), uint32(0))));
    }

    /// Leaves of one length are told apart by whose tree they stand in, and none is an inner node.
    function test_leaves_ofOneLength_areNoNodes() public pure {
        bytes32 leaf = EarningsTree.leaf(address(0x1), 2);
        require(leaf == keccak256(abi.encodePacked(bytes1(0), address(0x1), uint128(2))));
        require(EarningsTree.node(leaf, 0) == keccak256(abi.encodePacked(bytes1(0x01), leaf, bytes32(0))));
        require(Hashes.drawKeyLeaf(1, bytes32(uint256(2))) == sha256(abi.encodePacked(bytes1(0), uint32(1), uint256(2))));
    }
}
