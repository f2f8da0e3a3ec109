// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {EarningsProof, EarningsRoot} from "../../../contracts/chain/settlement/Earnings.sol";
import {Channel} from "../../../contracts/chain/settlement/Escrow.sol";
import {Pool} from "../../../contracts/chain/settlement/SettlementState.sol";
import {DemandLife} from "./DemandLife.sol";
import {NoOccasion} from "./StakeLife.sol";
import {vm} from "./Vm.sol";

/// @dev A client's escrow, and providers' earnings. Trees have one leaf for each provider.
abstract contract MoneyLife is DemandLife {
    uint128[3] public earned;
    /// @dev Most that the client has signed for in this life of the channel.
    uint128 public voucher;
    uint128[3][] private _trees;
    uint64 private _logSize;
    mapping(uint64 rootIndex => uint256) private _treeOf;
    mapping(uint64 rootIndex => uint64) private _sizeOf;

    function deposit(uint96 amount) external {
        _deposit(amount % 10_000 + 1);
    }

    function redeem(uint96 amount) external {
        Channel memory channel = settlement.channelOf(_client(), gateway);
        uint128 left = channel.deposited - channel.redeemed;
        if (left == 0) revert NoOccasion();
        // A little more than there is, at times: it is refused, and redeemed whole after a deposit.
        voucher = channel.redeemed + amount % (left + left / 8 + 1) + 1;
        _redeem(channel.epoch, voucher);
    }

    function exit(uint8 step) external {
        Channel memory channel = settlement.channelOf(_client(), gateway);
        // SAFETY: one prank a call: a lasting one would outlive a step that reverts.
        if (channel.exitAt == 0) {
            vm.prank(_client());
            return settlement.startExit(gateway);
        }
        if (block.timestamp < channel.exitAt) {
            if (step % 8 != 0) revert NoOccasion();
            vm.prank(_client());
            return settlement.cancelExit(gateway);
        }
        vm.prank(_client());
        settlement.finishExit(gateway);
        voucher = 0;
    }

    function fund(uint96 amount) external {
        _fund(amount % 10_000 + 1);
    }

    function postRoot(uint64 a, uint64 b, uint64 c) external {
        uint64 room = uint64(_margin() / 3);
        if (room == 0) revert NoOccasion();
        _postNext([earned[0] + a % room, earned[1] + b % room, earned[2] + c % room]);
    }

    /// @dev A gateway that gives one provider what another had; a stranger stops it.
    function robAndStop(uint8 who, uint96 amount) external {
        uint64 count = settlement.poolOf(gateway).rootCount;
        uint8 robbed = who % 3;
        if (count == 0 || earned[robbed] == 0) revert NoOccasion();
        uint128[3] memory before = earned;
        uint128[3] memory next = earned;
        uint128 taken = amount % next[robbed] + 1;
        next[robbed] -= taken;
        next[(robbed + 1) % 3] += taken;
        _postNext(next);
        EarningsProof memory since = _proof(count, robbed);
        EarningsProof memory had = _proof(count - 1, robbed);
        address payee = _provider(robbed);
        EarningsRoot memory previous = _standsAt(count - 1);
        settlement.disproveRoot(gateway, had, since, since, [payee, payee, payee], previous);
        earned = before;
    }

    function disableRoot(uint8 seldom) external {
        uint64 count = settlement.poolOf(gateway).rootCount;
        if (count == 0 || seldom % 2 != 0 || block.timestamp >= settlement.rootOf(gateway, count - 1).activeAt) {
            revert NoOccasion();
        }
        EarningsRoot memory previous;
        if (count > 1) previous = _standsAt(count - 2);
        vm.prank(gateway);
        settlement.disableRoot(gateway, previous);
        if (count == 1) delete earned;
        else earned = _trees[_treeOf[count - 2] - 1];
    }

    function claim(uint8 who) external {
        for (uint8 k = 0; k < 3; ++k) {
            if (_claim((who % 3 + k) % 3)) return;
        }
        revert NoOccasion();
    }

    function withdrawMargin(uint96 amount) external {
        uint128 margin = _margin();
        if (margin == 0) revert NoOccasion();
        vm.prank(gateway);
        settlement.withdrawMargin(gateway, amount % margin + 1, gateway);
    }

    function _postNext(uint128[3] memory next) private {
        uint64 index = settlement.poolOf(gateway).rootCount;
        _post(_tree(next[0], next[1], next[2]), next[0] + next[1] + next[2], ++_logSize);
        _trees.push(next);
        (_treeOf[index], _sizeOf[index]) = (_trees.length, _logSize);
        earned = next;
    }

    /// @dev By the newest root that is active.
    function _claim(uint8 who) internal returns (bool) {
        for (uint64 count = settlement.poolOf(gateway).rootCount; count > 0; --count) {
            if (block.timestamp < settlement.rootOf(gateway, count - 1).activeAt) continue;
            EarningsProof memory proof = _proof(count - 1, who);
            if (proof.cumulative <= settlement.claimed(gateway, _provider(who))) return false;
            settlement.claim(gateway, _provider(who), proof);
            return true;
        }
        return false;
    }

    function _proof(uint64 index, uint8 who) private view returns (EarningsProof memory) {
        uint128[3] memory tree = _trees[_treeOf[index] - 1];
        return _earned(_tree(tree[0], tree[1], tree[2]), index, who, tree[who], _standsAt(index));
    }

    function _standsAt(uint64 index) private view returns (EarningsRoot memory) {
        uint128[3] memory tree = _trees[_treeOf[index] - 1];
        return _stands(_tree(tree[0], tree[1], tree[2]), tree[0] + tree[1] + tree[2], _sizeOf[index]);
    }

    function _margin() internal view returns (uint128) {
        Pool memory pool = settlement.poolOf(gateway);
        return pool.funded - pool.withdrawn - pool.committed;
    }
}
