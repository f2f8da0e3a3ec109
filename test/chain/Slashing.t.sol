// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IdUsed, NotAscending, NotFrozen, ShareOutOfBounds} from "../../contracts/chain/StakeRegistry.sol";
import {StakeFrozen} from "../../contracts/chain/registry/Accounts.sol";
import {NothingToMove, TimeOutOfBounds, TooEarly, TooLate} from "../../contracts/chain/registry/RegistryState.sol";
import {NotSlasher} from "../../contracts/chain/registry/Slashers.sol";
import {vm} from "./support/Vm.sol";
import {SlasherBase} from "./support/SlasherBase.sol";

contract SlashingTest is SlasherBase {
    function test_anyMove_byOthers_reverts() public {
        vm.startPrank(stranger);
        vm.expectRevert(NotSlasher.selector);
        registry.convict(_key, stranger, 0);
        vm.expectRevert(NotSlasher.selector);
        registry.freeze(_account, ID, 1, 1);
        vm.expectRevert(NotFrozen.selector);
        registry.settle(ID, address(0), 0, new address[](0));
        vm.stopPrank();
    }

    function test_freeze_bounds_reverts() public {
        vm.expectRevert(ShareOutOfBounds.selector);
        registry.freeze(_account, ID, 0, 1);
        vm.expectRevert(ShareOutOfBounds.selector);
        registry.freeze(_account, ID, 10_001, 1);
        vm.expectRevert(TimeOutOfBounds.selector);
        registry.freeze(_account, ID, 1, 21 days + 1);
        vm.expectRevert(NothingToMove.selector);
        registry.freeze(stranger, ID, 10_000, 1);
    }

    function test_freeze_whole_succeeds() public {
        _assertEq(registry.freeze(_account, ID, 10_000, 21 days), STAKE);
        _assertEq(registry.accountOf(_account).frozen, STAKE);
        _assertEq(registry.frozenOf(address(this), ID).amount, STAKE);
        _assertEq(registry.frozenOf(address(this), ID).until, block.timestamp + 21 days);
    }

    function test_freeze_idTwice_reverts() public {
        registry.freeze(_account, ID, 1_000, 1);
        vm.expectRevert(IdUsed.selector);
        registry.freeze(_account, ID, 1_000, 1);
        registry.release(address(this), ID);
        vm.expectRevert(IdUsed.selector);
        registry.freeze(_account, ID, 1_000, 1);
    }

    /// Stake that is on its way out covers cases as well as what stays.
    function test_isCovered_queuedStake_counts() public {
        vm.prank(_account);
        registry.unbond(_account, STAKE * 6 / 10);
        registry.freeze(_account, "a", 10_000, 10);
        require(registry.isCovered(_account));
        registry.freeze(_account, "b", 1, 10);
        require(!registry.isCovered(_account));
    }

    /// Nobody's case is kept out by others, and two cases cannot spend one stake: the second takes what the first has left.
    function test_freeze_casesOverMoreThanTheStake_spendItOnce() public {
        _assertEq(registry.freeze(_account, "a", 5_000, 10), STAKE / 2);
        _assertEq(registry.freeze(_account, "b", 5_000, 10), STAKE / 2);
        require(registry.isCovered(_account));
        _assertEq(registry.freeze(_account, "c", 7_000, 10), STAKE * 7 / 10);
        require(!registry.isCovered(_account));
        _assertEq(registry.accountOf(_account).frozen, STAKE * 17 / 10);
        registry.settle("c", address(0), 0, new address[](0));
        registry.settle("a", address(0), 0, new address[](0));
        registry.settle("b", address(0), 0, new address[](0));
        _assertEq(registry.accountOf(_account).active, 0);
        _assertEq(registry.accountOf(_account).frozen, 0);
        _assertEq(registry.credits(registry.BURN()), STAKE);
        vm.expectRevert(NothingToMove.selector);
        registry.freeze(_account, "d", 10_000, 1);
    }

    /// More is frozen than there is: nothing can leave, neither to the account nor into a conviction's pot.
    function test_withdrawAndCollect_whileNotCovered_takeNothing() public {
        vm.prank(_account);
        registry.unbond(_account, 10);
        _later(UNBOND);
        registry.freeze(_account, "a", 10_000, 21 days);
        registry.freeze(_account, "b", 1, 1);
        vm.prank(_account);
        vm.expectRevert(StakeFrozen.selector);
        registry.withdraw(_account, 0, _account);
        registry.convict(_key, stranger, 0);
        _later(POT);
        vm.expectRevert(NothingToMove.selector);
        registry.collect(_account);
        registry.release(address(this), "a");
        registry.collect(_account);
        _assertEq(registry.accountOf(_account).active + registry.accountOf(_account).queued, 100);
    }

    function test_bondOf_countsWhatCanBeLost() public {
        vm.prank(_account);
        registry.unbond(_account, 10);
        _assertEq(registry.bondOf(_account), STAKE);
        _assertEq(registry.bondOf(stranger), 0);
        registry.convict(_key, stranger, 0);
        _assertEq(registry.bondOf(_account), 0);
    }

    function test_freeze_countsQueuedStake() public {
        vm.prank(_account);
        registry.unbond(_account, STAKE / 2);
        _assertEq(registry.freeze(_account, ID, 8_000, 10), STAKE * 8 / 10);
        registry.settle(ID, address(0), 0, new address[](0));
        _assertEq(registry.accountOf(_account).active, 0);
        _assertEq(registry.accountOf(_account).queued, STAKE * 2 / 10);
        _assertEq(registry.unbondingsOf(_account)[0].amount, STAKE * 2 / 10);
        _assertEq(registry.accountOf(_account).frozen, 0);
    }

    function test_settle_late_reverts() public {
        registry.freeze(_account, ID, 1_000, 10);
        _later(10);
        vm.expectRevert(TooLate.selector);
        registry.settle(ID, address(0), 0, new address[](0));
    }

    function test_settle_inTime_once() public {
        registry.freeze(_account, ID, 1_000, 10);
        _later(9);
        registry.settle(ID, address(0), 0, new address[](0));
        _assertEq(registry.accountOf(_account).active, STAKE * 9 / 10);
        vm.expectRevert(NotFrozen.selector);
        registry.settle(ID, address(0), 0, new address[](0));
    }

    function test_release_byOthersBeforeTime_reverts() public {
        registry.freeze(_account, ID, 1_000, 10);
        uint48 until = uint48(block.timestamp + 10);
        _later(9);
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(TooEarly.selector, until));
        registry.release(address(this), ID);
        _later(1);
        vm.prank(stranger);
        registry.release(address(this), ID);
        _assertEq(registry.accountOf(_account).frozen, 0);
    }

    function test_settle_division_refundFirst() public {
        // 1,000,000 · 10% = 100,000: burn 20,000; client 70,000; 30,000 would be rewards, 10,000 are left.
        address[] memory right = new address[](2);
        (right[0], right[1]) = (address(0x1), address(0x2));
        registry.freeze(_account, ID, 1_000, 10);
        registry.settle(ID, _client(), 70_000, right);
        _assertEq(registry.credits(_client()), 70_000);
        _assertEq(registry.credits(right[0]), 5_000);
        _assertEq(registry.credits(right[1]), 5_000);
        _assertEq(registry.credits(registry.BURN()), 20_000);
    }

    function test_settle_division_refundAboveSlash_leavesBurn() public {
        address[] memory right = new address[](1);
        right[0] = address(0x1);
        registry.freeze(_account, ID, 1_000, 10);
        registry.settle(ID, _client(), type(uint128).max, right);
        _assertEq(registry.credits(_client()), 80_000);
        _assertEq(registry.credits(right[0]), 0);
        _assertEq(registry.credits(registry.BURN()), 20_000);
    }

    function test_settle_division_withoutClient_burnsTheRest() public {
        address[] memory right = new address[](3);
        (right[0], right[1], right[2]) = (address(0x1), address(0x2), address(0x7));
        registry.freeze(_account, ID, 1, 10); // 100: burn 20, rewards 30
        registry.settle(ID, address(0), 99, right);
        _assertEq(registry.credits(right[0]), 10);
        _assertEq(registry.credits(registry.BURN()), 70);
        _assertEq(registry.credits(address(0)), 0);
    }

    /// Rounding: the burn is rounded up, shares of those who were right down; nothing is lost.
    function test_settle_rounding_sumsToTheSlash() public {
        vm.prank(stranger);
        registry.stake(_account, 7);
        address[] memory right = new address[](2);
        (right[0], right[1]) = (address(0x1), address(0x2));
        _assertEq(registry.freeze(_account, ID, 3, 10), 300); // ⌊1,000,007 · 3 / 10,000⌋
        registry.settle(ID, address(0), 0, right);
        _assertEq(registry.credits(right[0]), 45);
        registry.freeze(_account, "b", 1, 10); // 99
        registry.settle("b", _client(), 1000, right);
        // 99: burned ⌈19.8⌉ = 20
        _assertEq(registry.credits(_client()), 79);
        _assertEq(registry.credits(registry.BURN()), 210 + 20);
    }

    function test_settle_loserAmongTheRight_getsNothing() public {
        vm.prank(_account);
        registry.proposeOperator(_account, address(0xFFFF));
        _later(KEY_DELAY);
        vm.prank(address(0xFFFF));
        registry.acceptOperator(_account);
        address[] memory right = new address[](2);
        (right[0], right[1]) = (_account, address(0xFFFF));
        registry.freeze(_account, ID, 1_000, 10);
        registry.settle(ID, address(0), 0, right);
        _assertEq(registry.credits(right[0]) + registry.credits(right[1]), 0);
        _assertEq(registry.credits(registry.BURN()), 100_000);
    }

    function test_settle_namesTwiceOrTooMany_reverts() public {
        registry.freeze(_account, ID, 1_000, 10);
        address[] memory right = new address[](2);
        (right[0], right[1]) = (stranger, stranger);
        vm.expectRevert(NotAscending.selector);
        registry.settle(ID, address(0), 0, right);
        right[0] = address(0);
        vm.expectRevert(NotAscending.selector);
        registry.settle(ID, address(0), 0, right);
        vm.expectRevert(ShareOutOfBounds.selector);
        registry.settle(ID, address(0), 0, new address[](16));
        right = new address[](15);
        for (uint256 i = 0; i < 15; ++i) right[i] = address(uint160(i + 1));
        registry.settle(ID, address(0), 0, right);
        _assertEq(registry.credits(right[14]), 2_000);
    }

    /// A slasher that is retired may still end what it began, and begins nothing.
    function test_retired_endsWhatItBegan() public {
        vm.prank(owner);
        registry.retireSlasher(address(this));
        _later(UNBOND + 7 days - 1);
        registry.freeze(_account, ID, 1_000, 10);
        _later(1);
        vm.expectRevert(NotSlasher.selector);
        registry.freeze(_account, "b", 1_000, 10);
        registry.settle(ID, address(0), 0, new address[](0));
    }

    function testFuzz_settle_neverLosesOrMakesMoney(uint16 share, uint128 refund, uint128 unbonded, uint8 count)
        public
    {
        unbonded = unbonded % STAKE + 1;
        vm.prank(_account);
        registry.unbond(_account, unbonded);
        registry.freeze(_account, ID, share % 10_000 + 1, 10);
        uint128 frozen = registry.accountOf(_account).frozen;
        address[] memory right = new address[](count % 16);
        for (uint256 i = 0; i < right.length; ++i) right[i] = address(uint160(i + 1));
        registry.settle(ID, _client(), refund, right);
        uint256 credited = registry.credits(_client()) + registry.credits(registry.BURN());
        for (uint256 i = 0; i < right.length; ++i) credited += registry.credits(right[i]);
        _assertEq(credited, frozen);
        _assertEq(registry.accountOf(_account).active + registry.accountOf(_account).queued + frozen, STAKE);
        require(registry.credits(registry.BURN()) * 5 >= frozen);
    }
}
