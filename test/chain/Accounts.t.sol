// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {StakeRegistry, NotFrozen} from "../../contracts/chain/StakeRegistry.sol";
import {
    AccountExists,
    Convicted,
    LogOriginSet,
    NotEnoughStake,
    StakeFrozen,
    TooManyUnbondings
} from "../../contracts/chain/registry/Accounts.sol";
import {
    NotController,
    NothingToMove,
    TimeOutOfBounds,
    Times,
    TooEarly,
    Unbonding,
    UnknownAccount
} from "../../contracts/chain/registry/RegistryState.sol";
import {Base} from "./support/Base.sol";
import {vm} from "./support/Vm.sol";

contract AccountsTest is Base {
    // Deployment

    function test_constructor_timesOutOfBounds_reverts() public {
        _refused(Times(1 days - 1, 0, 1));
        _refused(Times(60 days + 1, 0, 1));
        _refused(Times(2 days, 2 days + 1, 1));
        _refused(Times(2 days, 0, 2 days + 1));
        _refused(Times(2 days, 0, 0));
    }

    function test_constructor_timesAtBounds_succeeds() public {
        new StakeRegistry(token, owner, Times(1 days, 1 days, 1 days));
        StakeRegistry made = new StakeRegistry(token, owner, Times(60 days, 0, 1));
        _assertEq(made.unbondDelay(), 60 days);
    }

    function _refused(Times memory times) private {
        vm.expectRevert(TimeOutOfBounds.selector);
        new StakeRegistry(token, owner, times);
    }

    // Accounts

    function test_open_twice_reverts() public {
        vm.prank(gateway);
        vm.expectRevert(AccountExists.selector);
        registry.open(0);
    }

    function test_open_anybody_succeeds() public {
        uint256 before = registry.accountCount();
        vm.prank(stranger);
        registry.open(bytes32("m"));
        require(registry.accountOf(stranger).operator == stranger);
        require(registry.accountOf(stranger).manifestHash == bytes32("m"));
        _assertEq(registry.accountOf(stranger).openedAt, START);
        _assertEq(registry.accountCount(), before + 1);
    }

    function test_setManifest_operator_succeeds() public {
        vm.prank(gateway);
        registry.setManifest(gateway, bytes32("next"));
        require(registry.accountOf(gateway).manifestHash == bytes32("next"));
    }

    function test_setManifest_stranger_reverts() public {
        vm.prank(stranger);
        vm.expectRevert(NotController.selector);
        registry.setManifest(gateway, 0);
    }

    function test_nameLog_twice_reverts() public {
        vm.prank(gateway);
        vm.expectRevert(LogOriginSet.selector);
        registry.nameLog(gateway, "other");
    }

    function test_nameLog_stranger_reverts() public {
        vm.prank(stranger);
        vm.expectRevert(NotController.selector);
        registry.nameLog(_provider(0), ORIGIN);
    }

    function test_stake_unknownAccount_reverts() public {
        vm.prank(stranger);
        vm.expectRevert(UnknownAccount.selector);
        registry.stake(stranger, 1);
    }

    function test_stake_nothing_reverts() public {
        vm.prank(stranger);
        vm.expectRevert(NothingToMove.selector);
        registry.stake(gateway, 0);
    }

    function test_stake_anybodyForAnAccount_succeeds() public {
        vm.prank(stranger);
        registry.stake(gateway, 5);
        _assertEq(registry.accountOf(gateway).active, STAKE + 5);
        _assertEq(token.balanceOf(address(registry)), 4 * STAKE + 5);
    }

    function test_stake_convicted_reverts() public {
        _equivocation(0, 0);
        vm.prank(stranger);
        vm.expectRevert(Convicted.selector);
        registry.stake(_provider(0), 1);
    }

    function test_unbond_stranger_reverts() public {
        vm.prank(stranger);
        vm.expectRevert(NotController.selector);
        registry.unbond(gateway, 1);
    }

    function test_unbond_nothing_reverts() public {
        vm.prank(gateway);
        vm.expectRevert(NothingToMove.selector);
        registry.unbond(gateway, 0);
    }

    function test_unbond_moreThanActive_reverts() public {
        vm.prank(gateway);
        vm.expectRevert(NotEnoughStake.selector);
        registry.unbond(gateway, STAKE + 1);
    }

    function test_unbond_convicted_reverts() public {
        _equivocation(0, 0);
        vm.prank(_provider(0));
        vm.expectRevert(Convicted.selector);
        registry.unbond(_provider(0), 1);
    }

    function test_unbond_ninth_reverts() public {
        vm.startPrank(gateway);
        for (uint256 i = 0; i < 8; ++i) registry.unbond(gateway, 1);
        vm.expectRevert(TooManyUnbondings.selector);
        registry.unbond(gateway, 1);
        vm.stopPrank();
    }

    function test_unbond_all_succeeds() public {
        vm.prank(gateway);
        registry.unbond(gateway, STAKE);
        Unbonding[] memory queue = registry.unbondingsOf(gateway);
        _assertEq(queue.length, 1);
        _assertEq(queue[0].amount, STAKE);
        _assertEq(queue[0].readyAt, START + UNBOND);
        _assertEq(registry.accountOf(gateway).active, 0);
        _assertEq(registry.accountOf(gateway).queued, STAKE);
    }

    function test_withdraw_beforeDelay_reverts() public {
        vm.prank(gateway);
        registry.unbond(gateway, 10);
        vm.warp(START + UNBOND - 1);
        vm.prank(gateway);
        vm.expectRevert(abi.encodeWithSelector(TooEarly.selector, START + UNBOND));
        registry.withdraw(gateway, 0, gateway);
    }

    function test_withdraw_stranger_reverts() public {
        vm.prank(gateway);
        registry.unbond(gateway, 10);
        _later(UNBOND);
        vm.prank(stranger);
        vm.expectRevert(NotController.selector);
        registry.withdraw(gateway, 0, stranger);
    }

    function test_withdraw_afterDelay_succeeds() public {
        vm.startPrank(gateway);
        registry.unbond(gateway, 10);
        registry.unbond(gateway, 20);
        registry.unbond(gateway, 30);
        _later(UNBOND);
        registry.withdraw(gateway, 0, address(0xD0));
        vm.stopPrank();
        _assertEq(token.balanceOf(address(0xD0)), 10);
        Unbonding[] memory queue = registry.unbondingsOf(gateway);
        _assertEq(queue.length, 2);
        _assertEq(queue[0].amount, 30);
        _assertEq(queue[1].amount, 20);
        _assertEq(registry.accountOf(gateway).queued, 50);
    }

    function test_withdraw_whileFrozen_paysOnlyWhatIsFree() public {
        address account = _provider(0);
        _openCase(0); // freezes 20%
        vm.startPrank(account);
        registry.unbond(account, STAKE);
        _later(UNBOND);
        registry.withdraw(account, 0, account);
        vm.stopPrank();
        _assertEq(registry.unbondingsOf(account)[0].amount, STAKE / 5);
        vm.prank(account);
        vm.expectRevert(StakeFrozen.selector);
        registry.withdraw(account, 0, account);
    }

    /// Exit racing a slash: what is queued is reached until the moment it is withdrawn.
    function test_withdraw_convictedWhileQueued_reverts() public {
        address account = _provider(0);
        vm.prank(account);
        registry.unbond(account, STAKE);
        _later(UNBOND);
        _equivocation(0, 0);
        vm.prank(account);
        vm.expectRevert(Convicted.selector);
        registry.withdraw(account, 0, account);
        _later(POT);
        registry.collect(account);
        _assertEq(registry.accountOf(account).queued, 0);
        _assertEq(registry.unbondingsOf(account).length, 0);
        _assertEq(registry.credits(registry.BURN()), STAKE * 7 / 10);
    }

    function test_collect_activeAndQueuedMixed_takesAll() public {
        address account = _provider(0);
        vm.startPrank(account);
        registry.unbond(account, 30);
        registry.unbond(account, 40);
        vm.stopPrank();
        _equivocation(0, 0);
        _later(POT);
        registry.collect(account);
        _assertEq(registry.accountOf(account).active + registry.accountOf(account).queued, 0);
    }

    // Credits

    function test_withdrawCredit_othersOrNothing_reverts() public {
        vm.expectRevert(NotController.selector);
        registry.withdrawCredit(stranger, address(this));
        vm.prank(stranger);
        vm.expectRevert(NothingToMove.selector);
        registry.withdrawCredit(stranger, stranger);
    }

    function test_withdrawCredit_reporter_succeeds() public {
        vm.prank(stranger);
        this.equivocate(0);
        _later(POT);
        registry.collect(_provider(0));
        // The reporter is who called the evidence contract: this test.
        _assertEq(registry.credits(address(this)), STAKE * 3 / 10);
        registry.withdrawCredit(address(this), address(0xD0));
        _assertEq(token.balanceOf(address(0xD0)), STAKE * 3 / 10);
        _assertEq(registry.credits(address(this)), 0);
    }

    function test_withdrawCredit_ofAnAccount_goesToItsOperator() public {
        require(registry.controllerOf(gateway) == gateway && registry.controllerOf(stranger) == stranger);
        vm.prank(gateway);
        registry.proposeOperator(gateway, stranger);
        _later(KEY_DELAY);
        vm.prank(stranger);
        registry.acceptOperator(gateway);
        require(registry.controllerOf(gateway) == stranger);
    }

    function test_burn_sendsToNobody() public {
        vm.expectRevert(NothingToMove.selector);
        registry.burn();
        _equivocation(0, 0);
        _later(POT);
        registry.collect(_provider(0));
        registry.burn();
        _assertEq(token.balanceOf(registry.BURN()), STAKE * 7 / 10);
        _assertEq(registry.credits(registry.BURN()), 0);
    }

    function test_release_unknown_reverts() public {
        vm.expectRevert(NotFrozen.selector);
        registry.release(address(rulings), bytes32("none"));
    }

    function equivocate(uint256 i) external {
        _equivocation(i, 0);
    }
}
