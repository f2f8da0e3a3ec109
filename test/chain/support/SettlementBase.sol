// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {EarningsTree} from "../../../contracts/chain/lib/EarningsTree.sol";
import {Checkpoint, Messages} from "../../../contracts/chain/lib/Messages.sol";
import {EarningsProof, EarningsRoot} from "../../../contracts/chain/settlement/Earnings.sol";
import {Base} from "./Base.sol";
import {vm} from "./Vm.sol";

/// @dev Steps of clients, gateways and payees; trees have one leaf for each of the three providers.
abstract contract SettlementBase is Base {
    function _deposit(uint128 amount) internal {
        vm.prank(_client());
        settlement.deposit(gateway, amount);
    }

    function _voucher(address to, uint64 epoch, uint128 cumulative) internal view returns (bytes memory) {
        bytes32 typeHash =
            keccak256("Voucher(address settlement,address client,address gateway,uint64 epoch,uint128 cumulative)");
        return _sign(0xC11E, keccak256(abi.encode(typeHash, settlement, _client(), to, epoch, cumulative)));
    }

    function _redeem(uint64 epoch, uint128 cumulative) internal {
        bytes memory signature = _voucher(gateway, epoch, cumulative);
        vm.prank(gateway);
        settlement.redeem(gateway, _client(), epoch, cumulative, signature);
    }

    function _fund(uint128 amount) internal {
        _fundFor(gateway, amount);
    }

    function _fundFor(address pool, uint128 amount) internal {
        vm.prank(stranger);
        settlement.fund(pool, amount);
    }

    function _tree(uint128 a, uint128 b, uint128 c) internal pure returns (bytes32[] memory leaves) {
        leaves = new bytes32[](3);
        leaves[0] = EarningsTree.leaf(_provider(0), a);
        leaves[1] = EarningsTree.leaf(_provider(1), b);
        leaves[2] = EarningsTree.leaf(_provider(2), c);
    }

    function _rootOf(bytes32[] memory leaves) internal pure returns (bytes32) {
        return EarningsTree.node(EarningsTree.node(leaves[0], leaves[1]), leaves[2]);
    }

    function _post(bytes32[] memory tree, uint128 total, uint64 size) internal {
        bytes memory signature = _signed(_checkpoint(size, "log"));
        bytes32 root = _rootOf(tree);
        vm.prank(gateway);
        settlement.postRoot(gateway, root, 3, total, _checkpoint(size, "log"), signature);
    }

    /// @dev A funded, posted and active first root.
    function _active(uint128 a, uint128 b) internal returns (bytes32[] memory tree) {
        _fund(a + b);
        tree = _tree(a, b, 0);
        _post(tree, a + b, 5);
        _later(ACTIVATION);
    }

    /// @dev What a root of these tests stands for.
    function _stands(bytes32[] memory leaves, uint128 total, uint64 size) internal pure returns (EarningsRoot memory) {
        return EarningsRoot(_rootOf(leaves), 3, total, size, "log");
    }

    function _earned(
        bytes32[] memory leaves,
        uint64 rootIndex,
        uint64 leafIndex,
        uint128 cumulative,
        EarningsRoot memory earnings
    ) internal pure returns (EarningsProof memory proof) {
        proof.rootIndex = rootIndex;
        proof.earnings = earnings;
        proof.cumulative = cumulative;
        proof.leafIndex = leafIndex;
        proof.path = new bytes32[](leafIndex == 2 ? 1 : 2);
        if (leafIndex == 2) {
            proof.path[0] = EarningsTree.node(leaves[0], leaves[1]);
        } else {
            (proof.path[0], proof.path[1]) = (leaves[1 - leafIndex], leaves[2]);
        }
    }

    function _headHash(Checkpoint memory head) internal pure returns (bytes32) {
        return Messages.checkpoint(keccak256(bytes(head.origin)), head.size, head.root);
    }
}
