// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Settlement} from "../../contracts/chain/Settlement.sol";
import {InvalidSignature} from "../../contracts/chain/lib/AssayDomain.sol";
import {IStakeRegistry} from "../../contracts/chain/registry/IStakeRegistry.sol";
import {
    NotController,
    NothingToMove,
    Paused,
    TimeOutOfBounds,
    TooEarly
} from "../../contracts/chain/registry/RegistryState.sol";
import {NoExit, NothingNew, Underfunded, WrongEpoch} from "../../contracts/chain/settlement/Escrow.sol";
import {SettlementBase} from "./support/SettlementBase.sol";
import {vm} from "./support/Vm.sol";

contract EscrowTest is SettlementBase {
    function test_constructor_delaysOutOfBounds_reverts() public {
        IStakeRegistry stakes = IStakeRegistry(address(registry));
        vm.expectRevert(TimeOutOfBounds.selector);
        new Settlement(stakes, 1 hours - 1, 1 hours);
        vm.expectRevert(TimeOutOfBounds.selector);
        new Settlement(stakes, 1 hours, 1 hours - 1);
        vm.expectRevert(TimeOutOfBounds.selector);
        new Settlement(stakes, 30 days + 1, 30 days);
        new Settlement(stakes, 1 hours, 1 hours);
        _assertEq(new Settlement(stakes, 30 days, 1 hours).exitDelay(), 30 days);
    }

    function test_deposit_nothingOrPaused_reverts() public {
        vm.prank(_client());
        vm.expectRevert(NothingToMove.selector);
        settlement.deposit(gateway, 0);
        vm.prank(owner);
        registry.pause(1 days);
        vm.prank(_client());
        vm.expectRevert(Paused.selector);
        settlement.deposit(gateway, 1);
    }

    function test_redeem_cumulative_paysTheDifference() public {
        _deposit(1_000);
        _redeem(0, 400);
        _redeem(0, 1_000);
        _assertEq(settlement.poolOf(gateway).funded, 1_000);
        _assertEq(settlement.channelOf(_client(), gateway).redeemed, 1_000);
        _assertEq(settlement.channelOf(_client(), gateway).deposited, 1_000);
    }

    function test_redeem_byOthers_reverts() public {
        _deposit(1_000);
        bytes memory signature = _voucher(gateway, 0, 1);
        // Not even the client can redeem crumbs of its own vouchers.
        vm.prank(_client());
        vm.expectRevert(NotController.selector);
        settlement.redeem(gateway, _client(), 0, 1, signature);
    }

    function test_redeem_byWorkingKey_succeeds() public {
        _deposit(1_000);
        bytes memory signature = _voucher(gateway, 0, 1);
        vm.prank(vm.addr(GATEWAY_KEY));
        settlement.redeem(gateway, _client(), 0, 1, signature);
    }

    function test_redeem_oldOrSame_reverts() public {
        _deposit(1_000);
        _redeem(0, 400);
        _redeemFails(0, 400, NothingNew.selector);
        _redeemFails(0, 399, NothingNew.selector);
    }

    /// Livepeer's lesson: an underfunded redemption takes nothing and uses nothing up.
    function test_redeem_underfunded_isRedeemableWholeAfterTopUp() public {
        _deposit(1_000);
        _redeemFails(0, 1_001, Underfunded.selector);
        _deposit(1);
        _redeem(0, 1_001);
        _assertEq(settlement.poolOf(gateway).funded, 1_001);
    }

    function test_redeem_ofAnotherGateway_reverts() public {
        _deposit(1_000);
        bytes memory signature = _voucher(_provider(0), 0, 1);
        vm.prank(gateway);
        vm.expectRevert(InvalidSignature.selector);
        settlement.redeem(gateway, _client(), 0, 1, signature);
    }

    function test_redeem_foreignClient_reverts() public {
        vm.prank(stranger);
        settlement.deposit(gateway, 10);
        bytes memory signature = _voucher(gateway, 0, 1);
        vm.prank(gateway);
        vm.expectRevert(InvalidSignature.selector);
        settlement.redeem(gateway, stranger, 0, 1, signature);
    }

    /// Replay across epochs: what was signed before an exit is worth nothing after it.
    function test_redeem_voucherOfEarlierEpoch_reverts() public {
        _deposit(1_000);
        _exit();
        _deposit(1_000);
        _redeemFails(0, 500, WrongEpoch.selector);
        _redeem(1, 500);
    }

    function test_finishExit_beforeDelay_reverts() public {
        _deposit(1_000);
        vm.startPrank(_client());
        settlement.startExit(gateway);
        vm.warp(START + EXIT - 1);
        vm.expectRevert(abi.encodeWithSelector(TooEarly.selector, START + EXIT));
        settlement.finishExit(gateway);
        vm.stopPrank();
    }

    /// The gateway's last voucher still counts while the exit waits.
    function test_finishExit_paysWhatWasNotRedeemed() public {
        _deposit(1_000);
        uint256 before = token.balanceOf(_client());
        vm.prank(_client());
        settlement.startExit(gateway);
        vm.warp(START + EXIT);
        _redeem(0, 300);
        vm.prank(_client());
        settlement.finishExit(gateway);
        _assertEq(token.balanceOf(_client()) - before, 700);
        _assertEq(settlement.channelOf(_client(), gateway).deposited, 0);
        _assertEq(settlement.channelOf(_client(), gateway).redeemed, 0);
        _assertEq(settlement.channelOf(_client(), gateway).epoch, 1);
        _assertEq(settlement.channelOf(_client(), gateway).exitAt, 0);
    }

    function test_finishExit_neverStarted_reverts() public {
        _deposit(1_000);
        vm.startPrank(_client());
        vm.expectRevert(NoExit.selector);
        settlement.finishExit(gateway);
        vm.expectRevert(NoExit.selector);
        settlement.cancelExit(gateway);
        settlement.startExit(gateway);
        vm.expectRevert(abi.encodeWithSelector(TooEarly.selector, START + EXIT));
        settlement.startExit(gateway);
        settlement.cancelExit(gateway);
        vm.warp(START + EXIT);
        vm.expectRevert(NoExit.selector);
        settlement.finishExit(gateway);
        vm.stopPrank();
    }

    function test_finishExit_nothingLeft_reverts() public {
        _deposit(10);
        _redeem(0, 10);
        vm.startPrank(_client());
        settlement.startExit(gateway);
        _later(EXIT);
        vm.expectRevert(NothingToMove.selector);
        settlement.finishExit(gateway);
        vm.stopPrank();
    }

    function test_finishExit_paused_succeeds() public {
        _deposit(10);
        vm.prank(owner);
        registry.pause(14 days);
        _exit();
    }

    function testFuzz_redeem_neverPaysMoreThanDeposited(uint64 deposited, uint64[4] calldata vouchers) public {
        uint128 put = deposited % (9 * STAKE) + 1;
        _deposit(put);
        uint128 best;
        for (uint256 i = 0; i < 4; ++i) {
            uint128 cumulative = vouchers[i] % (2 * put);
            bytes memory signature = _voucher(gateway, 0, cumulative);
            vm.prank(gateway);
            try settlement.redeem(gateway, _client(), 0, cumulative, signature) {
                require(cumulative > best && cumulative <= put);
                best = cumulative;
            } catch {
                require(cumulative <= best || cumulative > put);
            }
        }
        _assertEq(settlement.poolOf(gateway).funded, best);
    }

    // Steps

    function _exit() private {
        vm.startPrank(_client());
        settlement.startExit(gateway);
        _later(EXIT);
        settlement.finishExit(gateway);
        vm.stopPrank();
    }

    function _redeemFails(uint64 epoch, uint128 cumulative, bytes4 why) private {
        bytes memory signature = _voucher(gateway, epoch, cumulative);
        vm.prank(gateway);
        vm.expectRevert(why);
        settlement.redeem(gateway, _client(), epoch, cumulative, signature);
    }
}
