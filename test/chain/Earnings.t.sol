// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {NotController, NothingToMove, TooLate} from "../../contracts/chain/registry/RegistryState.sol";
import {
    EarningsProof,
    EarningsRoot,
    ForeignCheckpoint,
    NotInTree,
    PoolTooSmall,
    RootGoesBack,
    RootNotActive
} from "../../contracts/chain/settlement/Earnings.sol";
import {SettlementBase} from "./support/SettlementBase.sol";
import {vm} from "./support/Vm.sol";

contract EarningsTest is SettlementBase {
    EarningsRoot private none;

    function test_postRoot_stranger_reverts() public {
        _fund(1_000);
        _postFails(stranger, _tree(300, 700, 0), 1_000, 5, NotController.selector);
    }

    function test_postRoot_moreThanThePool_reverts() public {
        _fund(1_000);
        _postFails(gateway, _tree(300, 701, 0), 1_001, 5, PoolTooSmall.selector);
        _post(_tree(300, 700, 0), 1_000, 5);
    }

    function test_postRoot_lessThanBefore_reverts() public {
        _fund(1_000);
        _post(_tree(300, 700, 0), 1_000, 5);
        _postFails(gateway, _tree(300, 699, 0), 999, 6, RootGoesBack.selector);
        _postFails(gateway, _tree(300, 700, 0), 1_000, 4, RootGoesBack.selector);
        _post(_tree(300, 700, 0), 1_000, 5);
        _assertEq(settlement.poolOf(gateway).rootCount, 2);
    }

    function test_postRoot_checkpointOfAnotherLogOrKey_reverts() public {
        _fund(1_000);
        bytes memory signature = _sign(_providerKey(0), _headHash(_checkpoint(5, "log")));
        vm.startPrank(gateway);
        vm.expectRevert(ForeignCheckpoint.selector);
        settlement.postRoot(gateway, "r", 1, 10, _checkpoint(5, "log"), signature);
        vm.stopPrank();
        _fundFor(_provider(0), 10);
        signature = _sign(_providerKey(0), _headHash(_checkpoint(5, "log")));
        vm.prank(_provider(0));
        vm.expectRevert(ForeignCheckpoint.selector);
        settlement.postRoot(_provider(0), "r", 1, 10, _checkpoint(5, "log"), signature);
    }

    function test_claim_beforeActivation_reverts() public {
        _fund(1_000);
        bytes32[] memory tree = _tree(300, 700, 0);
        _post(tree, 1_000, 5);
        vm.warp(START + ACTIVATION - 1);
        _claimFails(_provider(0), _earned(tree, 0, 0, 300, _stands(tree, 1_000, 5)), RootNotActive.selector);
        vm.warp(START + ACTIVATION);
        settlement.claim(gateway, _provider(0), _earned(tree, 0, 0, 300, _stands(tree, 1_000, 5)));
        _assertEq(token.balanceOf(_provider(0)), 9 * STAKE + 300);
        _assertEq(settlement.poolOf(gateway).paid, 300);
        _assertEq(settlement.claimed(gateway, _provider(0)), 300);
    }

    function test_claim_twice_reverts() public {
        bytes32[] memory tree = _active(300, 700);
        settlement.claim(gateway, _provider(0), _earned(tree, 0, 0, 300, _stands(tree, 1_000, 5)));
        _claimFails(_provider(0), _earned(tree, 0, 0, 300, _stands(tree, 1_000, 5)), NothingToMove.selector);
    }

    function test_claim_foreignLeafAmountOrTree_reverts() public {
        bytes32[] memory tree = _active(300, 700);
        _claimFails(_provider(0), _earned(tree, 0, 0, 301, _stands(tree, 1_000, 5)), NotInTree.selector);
        _claimFails(_provider(1), _earned(tree, 0, 0, 300, _stands(tree, 1_000, 5)), NotInTree.selector);
        EarningsProof memory proof = _earned(tree, 0, 0, 300, _stands(tree, 1_000, 5));
        proof.earnings.leafCount = 2;
        _claimFails(_provider(0), proof, RootNotActive.selector);
        // The root is bound to the log's head that it settles.
        _claimFails(_provider(0), _earned(tree, 0, 0, 300, _stands(tree, 1_000, 6)), RootNotActive.selector);
    }

    function test_claim_onlyLatestActiveRoot() public {
        bytes32[] memory old = _active(300, 700);
        _fund(1_000);
        bytes32[] memory tree = _tree(500, 700, 0);
        _post(tree, 1_200, 6);
        // Until the next is active, the last one pays.
        settlement.claim(gateway, _provider(0), _earned(old, 0, 0, 300, _stands(old, 1_000, 5)));
        _later(ACTIVATION);
        _claimFails(_provider(1), _earned(old, 0, 1, 700, _stands(old, 1_000, 5)), RootNotActive.selector);
        uint256 before = token.balanceOf(_provider(0));
        settlement.claim(gateway, _provider(0), _earned(tree, 1, 0, 500, _stands(tree, 1_200, 6)));
        _assertEq(token.balanceOf(_provider(0)) - before, 200);
    }

    /// Leaves that sum to more than the total: the pool of others is not touched.
    function test_claim_moreThanTotal_reverts() public {
        _fundFor(_provider(2), 1_000);
        _fund(1_000);
        bytes32[] memory tree = _tree(300, 701, 0);
        _post(tree, 1_000, 5);
        _later(ACTIVATION);
        settlement.claim(gateway, _provider(0), _earned(tree, 0, 0, 300, _stands(tree, 1_000, 5)));
        _claimFails(_provider(1), _earned(tree, 0, 1, 701, _stands(tree, 1_000, 5)), PoolTooSmall.selector);
    }

    function test_claim_exactlyTotal_succeeds() public {
        bytes32[] memory tree = _active(300, 700);
        settlement.claim(gateway, _provider(0), _earned(tree, 0, 0, 300, _stands(tree, 1_000, 5)));
        settlement.claim(gateway, _provider(1), _earned(tree, 0, 1, 700, _stands(tree, 1_000, 5)));
        _assertEq(token.balanceOf(address(settlement)), 0);
    }

    function test_claim_changedOperator_isPaid() public {
        bytes32[] memory tree = _active(300, 700);
        vm.prank(_provider(0));
        registry.proposeOperator(_provider(0), address(0xD0));
        _later(KEY_DELAY);
        vm.prank(address(0xD0));
        registry.acceptOperator(_provider(0));
        settlement.claim(gateway, _provider(0), _earned(tree, 0, 0, 300, _stands(tree, 1_000, 5)));
        _assertEq(token.balanceOf(address(0xD0)), 300);
    }

    function test_disableRoot_beforeActivation_succeeds() public {
        _fund(1_000);
        bytes32[] memory first = _tree(300, 100, 0);
        _post(first, 400, 5);
        _post(_tree(300, 700, 0), 1_000, 9);
        vm.prank(gateway);
        vm.expectRevert(RootNotActive.selector);
        settlement.disableRoot(gateway, none);
        EarningsRoot memory previous = _stands(first, 400, 5);
        vm.prank(gateway);
        settlement.disableRoot(gateway, previous);
        _assertEq(settlement.poolOf(gateway).rootCount, 1);
        _assertEq(settlement.poolOf(gateway).committed, 400);
        _assertEq(settlement.poolOf(gateway).logSize, 5);
        _later(ACTIVATION);
        settlement.claim(gateway, _provider(0), _earned(first, 0, 0, 300, _stands(first, 400, 5)));
    }

    function test_disableRoot_first_clearsThePool() public {
        _fund(1_000);
        vm.prank(gateway);
        vm.expectRevert(RootNotActive.selector);
        settlement.disableRoot(gateway, none);
        _post(_tree(300, 700, 0), 1_000, 9);
        vm.warp(START + ACTIVATION - 1);
        // A slasher may too; there is no root before it, whatever is said of one.
        EarningsRoot memory lied = EarningsRoot("r", 1, 7, 7, "log");
        vm.prank(address(rulings));
        settlement.disableRoot(gateway, lied);
        _assertEq(settlement.poolOf(gateway).committed, 0);
        _assertEq(settlement.poolOf(gateway).logSize, 0);
        _assertEq(settlement.poolOf(gateway).rootCount, 0);
        _assertEq(settlement.rootOf(gateway, 0).activeAt, 0);
        _later(ACTIVATION);
        _claimFails(_provider(0), _earned(_tree(300, 700, 0), 0, 0, 300, _stands(_tree(300, 700, 0), 1_000, 9)), RootNotActive.selector);
    }

    function test_disableRoot_activeOrByStranger_reverts() public {
        _fund(1_000);
        _post(_tree(300, 700, 0), 1_000, 9);
        vm.prank(stranger);
        vm.expectRevert(NotController.selector);
        settlement.disableRoot(gateway, none);
        vm.warp(START + ACTIVATION);
        vm.prank(gateway);
        vm.expectRevert(TooLate.selector);
        settlement.disableRoot(gateway, none);
    }

    function test_withdrawMargin_onlyWhatNobodyWasPromised() public {
        _fund(1_500);
        _post(_tree(300, 700, 0), 1_000, 9);
        vm.startPrank(gateway);
        vm.expectRevert(PoolTooSmall.selector);
        settlement.withdrawMargin(gateway, 501, gateway);
        vm.expectRevert(NothingToMove.selector);
        settlement.withdrawMargin(gateway, 0, gateway);
        settlement.withdrawMargin(gateway, 200, address(0xD0));
        vm.expectRevert(PoolTooSmall.selector);
        settlement.withdrawMargin(gateway, 301, gateway);
        settlement.withdrawMargin(gateway, 300, address(0xD0));
        vm.stopPrank();
        _assertEq(token.balanceOf(address(0xD0)), 500);
        _postFails(gateway, _tree(300, 701, 0), 1_001, 9, PoolTooSmall.selector);
    }

    /// A signing key on a server cannot take the margin.
    function test_withdrawMargin_byKeyOrStranger_reverts() public {
        _fund(1_500);
        vm.prank(vm.addr(GATEWAY_KEY));
        vm.expectRevert(NotController.selector);
        settlement.withdrawMargin(gateway, 1, gateway);
        vm.prank(stranger);
        vm.expectRevert(NotController.selector);
        settlement.withdrawMargin(gateway, 1, gateway);
    }

    function test_fund_anybody_succeeds() public {
        _fund(5);
        _assertEq(settlement.poolOf(gateway).funded, 5);
        vm.prank(stranger);
        vm.expectRevert(NothingToMove.selector);
        settlement.fund(gateway, 0);
    }

    // Steps

    function _postFails(address sender, bytes32[] memory tree, uint128 total, uint64 size, bytes4 why) private {
        bytes memory signature = _signed(_checkpoint(size, "log"));
        bytes32 root = _rootOf(tree);
        vm.prank(sender);
        vm.expectRevert(why);
        settlement.postRoot(gateway, root, 3, total, _checkpoint(size, "log"), signature);
    }

    function _claimFails(address payee, EarningsProof memory proof, bytes4 why) private {
        vm.expectRevert(why);
        settlement.claim(gateway, payee, proof);
    }
}
