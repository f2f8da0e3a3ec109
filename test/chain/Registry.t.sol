// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {StakeRegistry, NobodyAnswers, NotFrozen} from "../../contracts/chain/StakeRegistry.sol";
import {InvalidSignature} from "../../contracts/chain/lib/AssayDomain.sol";
import {
    AccountExists,
    Convicted,
    LogOriginSet,
    NotEnoughStake,
    StakeFrozen,
    TooManyUnbondings
} from "../../contracts/chain/registry/Accounts.sol";
import {KeyNotLive, KeyTaken} from "../../contracts/chain/registry/Keys.sol";
import {
    NotController,
    NothingToMove,
    Paused,
    TimeOutOfBounds,
    Times,
    TooEarly,
    Unbonding,
    UnknownAccount
} from "../../contracts/chain/registry/RegistryState.sol";
import {AlreadyOpen, DisputesTooLong, SlasherKnown} from "../../contracts/chain/registry/Slashers.sol";
import {Base} from "./support/Base.sol";
import {vm} from "./support/Vm.sol";

contract SlowSlasher {
    uint48 public disputeTime;

    constructor(uint48 time) {
        disputeTime = time;
    }
}

contract RegistryTest is Base {
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

    // Operators

    function test_acceptOperator_afterDelay_succeeds() public {
        vm.prank(gateway);
        registry.proposeOperator(gateway, stranger);
        vm.warp(START + KEY_DELAY);
        vm.startPrank(stranger);
        registry.acceptOperator(gateway);
        require(registry.accountOf(gateway).operator == stranger);
        vm.expectRevert(NotController.selector);
        registry.acceptOperator(gateway);
        registry.unbond(gateway, 1);
        vm.stopPrank();
        vm.prank(gateway);
        vm.expectRevert(NotController.selector);
        registry.unbond(gateway, 1);
    }

    function test_acceptOperator_tooEarly_reverts() public {
        vm.prank(gateway);
        registry.proposeOperator(gateway, stranger);
        vm.warp(START + KEY_DELAY - 1);
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(TooEarly.selector, START + KEY_DELAY));
        registry.acceptOperator(gateway);
    }

    function test_acceptOperator_calledOff_reverts() public {
        vm.startPrank(gateway);
        registry.proposeOperator(gateway, stranger);
        registry.proposeOperator(gateway, address(0));
        vm.stopPrank();
        _later(KEY_DELAY);
        vm.prank(stranger);
        vm.expectRevert(NotController.selector);
        registry.acceptOperator(gateway);
    }

    function test_proposeOperator_stranger_reverts() public {
        vm.prank(stranger);
        vm.expectRevert(NotController.selector);
        registry.proposeOperator(gateway, stranger);
    }

    // Keys

    function test_addKey_secondKey_worksAfterDelay() public {
        uint256 key = 0x2222;
        vm.prank(gateway);
        registry.addKey(gateway, vm.addr(key), _proof(gateway, key));
        require(registry.answers(vm.addr(key)) == gateway);
        require(!registry.mayAct(gateway, vm.addr(key)));
        _later(KEY_DELAY);
        require(registry.mayAct(gateway, vm.addr(key)));
    }

    function test_addKey_firstKey_worksAtOnce() public view {
        require(registry.mayAct(gateway, vm.addr(GATEWAY_KEY)));
        require(registry.mayAct(gateway, gateway));
        require(!registry.mayAct(gateway, stranger));
        require(!registry.mayAct(address(0), stranger));
        require(!registry.mayAct(_provider(0), vm.addr(GATEWAY_KEY)));
    }

    function test_addKey_taken_reverts() public {
        vm.prank(_provider(0));
        vm.expectRevert(KeyTaken.selector);
        registry.addKey(_provider(0), vm.addr(GATEWAY_KEY), _proof(_provider(0), GATEWAY_KEY));
    }

    /// Nobody makes his account answer for, or block, a key that is not his.
    function test_addKey_proofOfAnotherAccount_reverts() public {
        vm.prank(_provider(0));
        vm.expectRevert(InvalidSignature.selector);
        registry.addKey(_provider(0), vm.addr(0x2222), _proof(gateway, 0x2222));
    }

    function test_addKey_strangerOrConvicted_reverts() public {
        vm.prank(stranger);
        vm.expectRevert(NotController.selector);
        registry.addKey(gateway, vm.addr(0x2222), _proof(gateway, 0x2222));
        _equivocation(0, 0);
        vm.prank(_provider(0));
        vm.expectRevert(Convicted.selector);
        registry.addKey(_provider(0), vm.addr(0x2222), _proof(_provider(0), 0x2222));
    }

    function test_retireKey_answersUntilDelayIsOver() public {
        address key = vm.addr(GATEWAY_KEY);
        vm.prank(gateway);
        registry.retireKey(gateway, key);
        require(!registry.mayAct(gateway, key));
        vm.warp(START + UNBOND - 1);
        require(registry.answers(key) == gateway);
        vm.warp(START + UNBOND);
        require(registry.answers(key) == address(0));
    }

    function test_retireKey_twiceOrForeign_reverts() public {
        address key = vm.addr(GATEWAY_KEY);
        vm.startPrank(gateway);
        registry.retireKey(gateway, key);
        vm.expectRevert(KeyNotLive.selector);
        registry.retireKey(gateway, key);
        vm.expectRevert(KeyNotLive.selector);
        registry.retireKey(gateway, vm.addr(_providerKey(0)));
        vm.stopPrank();
        vm.prank(stranger);
        vm.expectRevert(NotController.selector);
        registry.retireKey(gateway, key);
    }

    /// Changing keys is no escape: the old key still convicts.
    function test_convict_retiredKey_succeeds() public {
        vm.prank(_provider(0));
        registry.retireKey(_provider(0), vm.addr(_providerKey(0)));
        vm.warp(START + UNBOND - 1);
        _equivocation(0, 0);
        require(registry.accountOf(_provider(0)).convictedAt != 0);
    }

    function test_convict_keyThatAnswersNoMore_reverts() public {
        vm.prank(_provider(0));
        registry.retireKey(_provider(0), vm.addr(_providerKey(0)));
        vm.warp(START + UNBOND);
        bytes memory call = abi.encodeCall(this.equivocate, (0));
        (bool done, bytes memory why) = address(this).call(call);
        require(!done && bytes4(why) == NobodyAnswers.selector);
    }

    function equivocate(uint256 i) external {
        _equivocation(i, 0);
    }

    // Owner

    function test_pause_stopsMoneyComingInOnly() public {
        vm.prank(gateway);
        registry.unbond(gateway, 10);
        _later(UNBOND);
        vm.prank(owner);
        registry.pause(14 days);
        require(registry.paused());
        vm.prank(stranger);
        vm.expectRevert(Paused.selector);
        registry.stake(gateway, 1);
        vm.startPrank(gateway);
        registry.withdraw(gateway, 0, gateway);
        registry.unbond(gateway, 1);
        vm.stopPrank();
        _equivocation(0, 0);
        _later(14 days);
        require(!registry.paused());
        registry.collect(_provider(0));
    }

    function test_pause_tooLongOrStranger_reverts() public {
        vm.prank(owner);
        vm.expectRevert(TimeOutOfBounds.selector);
        registry.pause(14 days + 1);
        vm.prank(stranger);
        vm.expectRevert();
        registry.pause(1);
    }

    function test_addSlasher_hasPowerOnlyAfterNotice() public {
        address slasher = address(new SlowSlasher(14 days));
        vm.prank(owner);
        registry.addSlasher(slasher);
        vm.warp(START + UNBOND + 7 days - 1);
        require(!registry.isSlasher(slasher));
        vm.warp(START + UNBOND + 7 days);
        require(registry.isSlasher(slasher));
        require(!registry.isSlasher(stranger));
    }

    function test_addSlasher_disputesTooLong_reverts() public {
        address slasher = address(new SlowSlasher(14 days + 1));
        vm.prank(owner);
        vm.expectRevert(DisputesTooLong.selector);
        registry.addSlasher(slasher);
    }

    function test_addSlasher_knownOrStranger_reverts() public {
        vm.prank(owner);
        vm.expectRevert(SlasherKnown.selector);
        registry.addSlasher(address(evidence));
        address slasher = address(new SlowSlasher(1));
        vm.prank(stranger);
        vm.expectRevert();
        registry.addSlasher(slasher);
    }

    function test_installSlashers_afterFirstAccountOrStranger_reverts() public {
        address[] memory none = new address[](0);
        vm.prank(owner);
        vm.expectRevert(AlreadyOpen.selector);
        registry.installSlashers(none);
        StakeRegistry fresh = new StakeRegistry(token, owner, Times(UNBOND, KEY_DELAY, POT));
        vm.prank(stranger);
        vm.expectRevert();
        fresh.installSlashers(none);
    }

    /// An owner who is a friend of the accused cannot take the court away in time.
    function test_retireSlasher_keepsPowerForAsLongAsStakeIsHeld() public {
        vm.prank(owner);
        registry.retireSlasher(address(evidence));
        vm.warp(START + UNBOND + 7 days - 1);
        require(registry.isSlasher(address(evidence)));
        vm.warp(START + UNBOND + 7 days);
        require(!registry.isSlasher(address(evidence)));
        vm.startPrank(owner);
        vm.expectRevert(SlasherKnown.selector);
        registry.retireSlasher(address(evidence));
        vm.expectRevert(SlasherKnown.selector);
        registry.retireSlasher(stranger);
        vm.stopPrank();
        vm.prank(stranger);
        vm.expectRevert();
        registry.retireSlasher(address(rulings));
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
}
