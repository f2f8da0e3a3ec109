// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {TooLate} from "../../contracts/chain/registry/RegistryState.sol";
import {
    EarningsProof,
    EarningsRoot,
    NotDisproved,
    NotInTree,
    RootNotActive
} from "../../contracts/chain/settlement/Earnings.sol";
import {EarningsTree} from "../../contracts/chain/lib/EarningsTree.sol";
import {SettlementBase} from "./support/SettlementBase.sol";
import {vm} from "./support/Vm.sol";

/// @dev Roots that take from a payee what an earlier one gave it: anybody who shows both stops them in time.
contract DisprovenRootsTest is SettlementBase {
    bytes32[] private _old;
    EarningsRoot private _stood;

    /// @dev A root that is active: 300, 700 and 100.
    function setUp() public override {
        super.setUp();
        _fund(5_000);
        _old = _tree(300, 700, 100);
        _post(_old, 1_100, 5);
        _later(ACTIVATION);
        _stood = _stands(_old, 1_100, 5);
    }

    function test_disproveRoot_smallerLeaf_isTakenBack() public {
        bytes32[] memory tree = _tree(300, 600, 300);
        _post(tree, 1_200, 6);
        EarningsProof memory since = _earned(tree, 1, 1, 600, _stands(tree, 1_200, 6));
        settlement.disproveRoot(gateway, _before(1, 700), since, since, _names(1, 1, 1), _stood);
        _assertEq(settlement.poolOf(gateway).rootCount, 1);
        _assertEq(settlement.poolOf(gateway).committed, 1_100);
        _assertEq(settlement.poolOf(gateway).logSize, 5);
        _later(ACTIVATION);
        settlement.claim(gateway, _provider(1), _before(1, 700));
    }

    /// What has not fallen is no fault, whoever would like the root away.
    function test_disproveRoot_leafThatHasNotFallen_reverts() public {
        bytes32[] memory tree = _tree(300, 701, 100);
        _post(tree, 1_101, 6);
        EarningsRoot memory earnings = _stands(tree, 1_101, 6);
        _refused(_before(1, 700), _earned(tree, 1, 1, 701, earnings), _names(1, 1, 1), NotDisproved.selector);
        _refused(_before(0, 300), _earned(tree, 1, 0, 300, earnings), _names(0, 0, 0), NotDisproved.selector);
        // Amounts that are in no tree.
        _refused(_before(1, 702), _earned(tree, 1, 1, 701, earnings), _names(1, 1, 1), NotInTree.selector);
        _refused(_before(1, 700), _earned(tree, 1, 1, 699, earnings), _names(1, 1, 1), NotInTree.selector);
    }

    /// The payee's place is empty: its neighbours stand side by side, or the tree begins behind it, or ends before it.
    function test_disproveRoot_payeeLeftOut_isTakenBack() public {
        for (uint256 out = 0; out < 3; ++out) {
            (EarningsProof[2] memory leaves, address[2] memory left) = _without(out);
            address[3] memory names = [_provider(out), left[0], left[1]];
            EarningsProof memory right = leaves[1];
            if (out == 0) (right, names[2]) = (leaves[0], left[0]);
            if (out == 2) (leaves[0], names[1]) = (leaves[1], left[1]);
            uint128 had = out == 0 ? 300 : out == 1 ? 700 : 100;
            settlement.disproveRoot(gateway, _before(uint64(out), had), leaves[0], right, names, _stood);
            _assertEq(settlement.poolOf(gateway).rootCount, 1);
        }
    }

    /// Leaves between which somebody else may stand prove nobody's absence.
    function test_disproveRoot_leavesThatAreNoNeighbours_revert() public {
        bytes32[] memory tree = _tree(300, 701, 100);
        _post(tree, 1_101, 6);
        EarningsRoot memory earnings = _stands(tree, 1_101, 6);
        EarningsProof memory first = _earned(tree, 1, 0, 300, earnings);
        EarningsProof memory second = _earned(tree, 1, 1, 701, earnings);
        EarningsProof memory third = _earned(tree, 1, 2, 100, earnings);
        EarningsProof memory mine = _before(1, 700);
        _refused(mine, first, third, [_provider(1), _provider(0), _provider(2)], NotDisproved.selector);
        _refused(mine, first, first, [_provider(1), _provider(0), _provider(0)], NotDisproved.selector);
        _refused(mine, third, third, [_provider(1), _provider(2), _provider(2)], NotDisproved.selector);
        _refused(mine, third, first, [_provider(1), _provider(2), _provider(0)], NotDisproved.selector);
        // The payee's own leaf beside the one before it.
        _refused(mine, first, second, [_provider(1), _provider(0), _provider(1)], NotDisproved.selector);
        // Neighbours on one side of the payee.
        _refused(_before(2, 100), first, second, [_provider(2), _provider(0), _provider(1)], NotDisproved.selector);
        _refused(_before(0, 300), second, third, [_provider(0), _provider(1), _provider(2)], NotDisproved.selector);
        // The right neighbour under another name, or under an older root.
        _refused(mine, first, second, [_provider(1), _provider(0), _provider(2)], NotInTree.selector);
        _refused(mine, first, _before(2, 100), [_provider(1), _provider(0), _provider(2)], NotDisproved.selector);
    }

    function test_disproveRoot_rootsInTheWrongOrderOrUnknown_reverts() public {
        bytes32[] memory tree = _tree(300, 600, 300);
        _post(tree, 1_200, 6);
        EarningsProof memory since = _earned(tree, 1, 1, 600, _stands(tree, 1_200, 6));
        _refused(since, since, _names(1, 1, 1), NotDisproved.selector);
        _refused(_before(1, 700), _before(1, 700), _names(1, 1, 1), NotDisproved.selector);
        EarningsProof memory made = _before(1, 700);
        made.earnings.total += 1;
        _refused(made, since, _names(1, 1, 1), NotDisproved.selector);
        EarningsProof memory other = _earned(tree, 1, 1, 600, _stands(tree, 1_201, 6));
        _refused(_before(1, 700), other, _names(1, 1, 1), NotDisproved.selector);
        _stood.total -= 1;
        _refused(_before(1, 700), since, _names(1, 1, 1), RootNotActive.selector);
    }

    /// Leaves of three roots: only the newest is judged, by one before it, and its neighbours stand in it together.
    function test_disproveRoot_leavesOfSeveralRoots_revert() public {
        (EarningsProof[2] memory shown,) = _without(1);
        bytes32[] memory tree = _tree(600, 700, 700);
        _post(tree, 2_000, 7);
        EarningsProof memory first = _earned(tree, 2, 0, 600, _stands(tree, 2_000, 7));
        address[3] memory names = [_provider(1), _provider(0), _provider(2)];
        _refused(_before(1, 700), first, shown[1], names, NotDisproved.selector);
        _refused(shown[0], _before(0, 300), first, _names(0, 0, 0), NotDisproved.selector);
    }

    /// A payee that is listed twice is the gateway's loss, and no leaf that fell.
    function test_disproveRoot_twoLeavesOfOneRoot_revert() public {
        bytes32[2] memory leaves = [EarningsTree.leaf(_provider(0), 600), EarningsTree.leaf(_provider(0), 500)];
        (EarningsProof[2] memory shown,) = _postTwo(leaves, [_provider(0), _provider(0)], [uint128(600), 500]);
        _refused(shown[0], shown[1], _names(0, 0, 0), NotDisproved.selector);
    }

    function test_disproveRoot_activeRoot_reverts() public {
        bytes32[] memory tree = _tree(300, 600, 300);
        _post(tree, 1_200, 6);
        EarningsProof memory since = _earned(tree, 1, 1, 600, _stands(tree, 1_200, 6));
        _later(ACTIVATION - 1);
        uint256 last = block.timestamp;
        vm.warp(last + 1);
        _refused(_before(1, 700), since, _names(1, 1, 1), TooLate.selector);
        vm.warp(last);
        settlement.disproveRoot(gateway, _before(1, 700), since, since, _names(1, 1, 1), _stood);
    }

    /// With several roots on their way, the claim goes by the one that is active.
    function test_claim_twoRootsOnTheirWay_paysByTheActiveOne() public {
        bytes32[] memory tree = _tree(400, 700, 100);
        _post(tree, 1_200, 6);
        _later(ACTIVATION / 2);
        _post(_tree(500, 700, 100), 1_300, 7);
        settlement.claim(gateway, _provider(0), _before(0, 300));
        _later(ACTIVATION / 2);
        EarningsProof memory old = _before(1, 700);
        vm.expectRevert(RootNotActive.selector);
        settlement.claim(gateway, _provider(1), old);
        settlement.claim(gateway, _provider(0), _earned(tree, 1, 0, 400, _stands(tree, 1_200, 6)));
        _assertEq(settlement.claimed(gateway, _provider(0)), 400);
    }

    /// A root that is taken back gives its time back too: the one before it is the newest again.
    function test_disableRoot_theOneBeforeIsTheNewestAgain() public {
        bytes32[] memory tree = _tree(400, 700, 100);
        _post(tree, 1_200, 6);
        _later(ACTIVATION / 2);
        _post(_tree(500, 700, 100), 1_300, 7);
        EarningsRoot memory previous = _stands(tree, 1_200, 6);
        vm.startPrank(gateway);
        settlement.disableRoot(gateway, previous);
        _later(ACTIVATION / 2);
        vm.expectRevert(TooLate.selector);
        settlement.disableRoot(gateway, _stood);
        vm.stopPrank();
    }

    /// Amounts are kept in 96 bits: more is refused when it comes in, nothing is cut off.
    function test_fund_moreThanFits_reverts() public {
        uint128 most = type(uint96).max;
        token.mint(stranger, most);
        vm.startPrank(stranger);
        vm.expectRevert();
        settlement.fund(gateway, most - 4_999);
        settlement.fund(gateway, most - 5_000);
        _assertEq(settlement.poolOf(gateway).funded, most);
        vm.expectRevert();
        settlement.fund(_provider(0), most + 1);
        vm.stopPrank();
    }

    // Steps

    function _before(uint64 leaf, uint128 cumulative) private view returns (EarningsProof memory) {
        return _earned(_old, 0, leaf, cumulative, _stands(_old, 1_100, 5));
    }

    function _names(uint256 a, uint256 b, uint256 c) private pure returns (address[3] memory) {
        return [_provider(a), _provider(b), _provider(c)];
    }

    function _refused(EarningsProof memory earlier, EarningsProof memory since, address[3] memory names, bytes4 why)
        private
    {
        _refused(earlier, since, since, names, why);
    }

    function _refused(
        EarningsProof memory earlier,
        EarningsProof memory since,
        EarningsProof memory right,
        address[3] memory names,
        bytes4 why
    ) private {
        EarningsRoot memory previous = _stood;
        vm.expectRevert(why);
        settlement.disproveRoot(gateway, earlier, since, right, names, previous);
    }

    /// @dev Posts a root of the two payees that are not `out`, and shows both leaves.
    function _without(uint256 out) private returns (EarningsProof[2] memory shown, address[2] memory payees) {
        payees = [_provider(out == 0 ? 1 : 0), _provider(out == 2 ? 1 : 2)];
        bytes32[2] memory leaves = [EarningsTree.leaf(payees[0], 600), EarningsTree.leaf(payees[1], 700)];
        return _postTwo(leaves, payees, [uint128(600), 700]);
    }

    function _postTwo(bytes32[2] memory leaves, address[2] memory payees, uint128[2] memory amounts)
        private
        returns (EarningsProof[2] memory shown, address[2] memory)
    {
        uint128 total = amounts[0] + amounts[1];
        bytes32 root = EarningsTree.node(leaves[0], leaves[1]);
        bytes memory signature = _signed(_checkpoint(6, "log"));
        vm.prank(gateway);
        settlement.postRoot(gateway, root, 2, total, _checkpoint(6, "log"), signature);
        for (uint64 i = 0; i < 2; ++i) {
            shown[i].rootIndex = 1;
            shown[i].earnings = EarningsRoot(root, 2, total, 6, "log");
            (shown[i].cumulative, shown[i].leafIndex) = (amounts[i], i);
            shown[i].path = new bytes32[](1);
            shown[i].path[0] = leaves[1 - i];
        }
        return (shown, payees);
    }
}
