// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {AssayDomain} from "../lib/AssayDomain.sol";
import {IStakeRegistry} from "../registry/IStakeRegistry.sol";
import {NotController, NothingToMove, Paused, TimeOutOfBounds, TokenTookFee} from "../registry/RegistryState.sol";

/// @notice One gateway's money: what came in, what was promised to providers, what went out.
struct Pool {
    uint128 funded;
    uint128 paid;
    uint128 committed;
    uint64 rootCount;
    uint64 logSize;
    uint128 withdrawn;
}

/// @dev The same as it is kept, in two slots: a claim writes the first alone, and finds there whether its root is the latest;
/// a root writes both. Amounts are below 2^96 base units (79 billion tokens of 18 decimals), more is refused when it comes
/// in; a root an hour is below 2^24 for 1,900 years.
struct Books {
    uint96 funded;
    uint96 paid;
    /// @dev When the newest root is active.
    uint40 newestAt;
    uint24 rootCount;
    uint96 committed;
    uint96 withdrawn;
    uint64 logSize;
}

/// @title Token and pools of the Settlement
/// @dev INVARIANT: every gateway pays out of its own pool alone.
abstract contract SettlementState is AssayDomain, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    uint48 public constant DELAY_MIN = 1 hours;
    uint48 public constant DELAY_MAX = 30 days;

    IStakeRegistry public immutable registry;
    IERC20 public immutable token;

    mapping(address gateway => Books) internal _pools;

    constructor(IStakeRegistry registry_) AssayDomain(address(registry_)) {
        registry = registry_;
        token = registry_.token();
    }

    function poolOf(address gateway) external view returns (Pool memory) {
        Books memory pool = _pools[gateway];
        return Pool(pool.funded, pool.paid, pool.committed, pool.rootCount, pool.logSize, pool.withdrawn);
    }

    function _boundedDelay(uint48 delay) internal pure returns (uint48) {
        if (delay < DELAY_MIN || delay > DELAY_MAX) revert TimeOutOfBounds();
        return delay;
    }

    /// @dev Takes exactly `amount` from the caller.
    function _receive(uint128 amount) internal {
        if (registry.paused()) revert Paused();
        if (amount == 0) revert NothingToMove();
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amount);
        if (token.balanceOf(address(this)) - before != amount) revert TokenTookFee();
    }

    /// @dev What came into a pool.
    function _addTo(address gateway, uint128 amount) internal {
        _pools[gateway].funded += SafeCast.toUint96(amount);
    }

    function _pay(address to, uint128 amount) internal {
        token.safeTransfer(to, amount);
    }

    function _onlyGateway(address gateway) internal view {
        if (!registry.mayAct(gateway, msg.sender)) revert NotController();
    }

    function _now() internal view returns (uint48) {
        return uint48(block.timestamp);
    }
}
