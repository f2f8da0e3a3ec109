// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @title What other contracts ask of the StakeRegistry
/// @dev The seam for later games: whatever becomes a slasher convicts, or freezes and settles, through these calls alone.
interface IStakeRegistry {
    /// @notice The settlement token.
    function token() external view returns (IERC20);

    /// @notice Whether money may come in; nothing that lets money out asks this.
    function paused() external view returns (bool);

    /// @notice The account that answers for what `key` signs now, or zero.
    function answers(address key) external view returns (address account);

    /// @notice Who controls an address' money: an account's operator, or the address itself where it has no account.
    function controllerOf(address owner) external view returns (address);

    /// @notice Whether `sender` is the account's operator or one of its working keys.
    function mayAct(address account, address sender) external view returns (bool);

    /// @notice keccak256 of the origin of the account's log, or zero.
    function logOriginOf(address account) external view returns (bytes32);

    /// @notice What an account can still lose: its stake, active and queued; nothing once it was convicted.
    function bondOf(address account) external view returns (uint128);

    /// @notice Whether the stake covers all that open cases have frozen. Where it does not, a slash leaves less for another.
    function isCovered(address account) external view returns (bool);

    /// @notice Whether `slasher` has power over stake now.
    function isSlasher(address slasher) external view returns (bool);

    /// @notice Takes everything from the account that answers for `key`; final. Only slashers.
    /// @param reporter who gets the reward
    /// @param announcedAt when the reporter announced this evidence, 0 if never
    function convict(address key, address reporter, uint48 announcedAt) external returns (address account);

    /// @notice Holds a share of an account's stake for one case. Only slashers.
    /// @param id unique per slasher, for ever
    /// @param shareBps of the whole bond, frozen parts included; shares of several cases may be more than the whole
    /// @param duration seconds after which anybody may release it
    function freeze(address account, bytes32 id, uint16 shareBps, uint48 duration) external returns (uint128 amount);

    /// @notice Takes what is frozen, at most what is left, and divides it (spec-chain.md, "Division"). Only the slasher
    /// that froze it. A slasher that the accused can lose to by himself MUST pay nobody while the stake is not covered.
    function settle(bytes32 id, address client, uint128 refund, address[] calldata right) external;

    /// @notice Gives a frozen share back: its slasher at any time, anybody once its time is over.
    function release(address slasher, bytes32 id) external;
}
