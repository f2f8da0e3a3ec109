// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

/// @notice Thrown when the account does not exist.
error UnknownAccount();
/// @notice Thrown when the caller does not control what it acts on.
error NotController();
/// @notice Thrown when an amount is zero.
error NothingToMove();
/// @notice Thrown when something is done before its time.
error TooEarly(uint48 readyAt);
/// @notice Thrown when something is done after its time.
error TooLate();
/// @notice Thrown when a token gives less than it was told to: it takes a fee.
error TokenTookFee();
/// @notice Thrown when the owner has stopped money from coming in.
error Paused();
/// @notice Thrown when a time is outside its bounds.
error TimeOutOfBounds();

/// @notice Delays in seconds, fixed at deployment.
struct Times {
    /// @dev From the request for stake until it can be withdrawn; keys that are retired answer as long.
    uint48 unbond;
    /// @dev Before a further key or operator takes effect.
    uint48 key;
    /// @dev From a conviction until its stake is divided.
    uint48 pot;
}

/// @dev One staked party: provider or gateway. Packed so that a conviction writes one slot.
struct Account {
    address operator;
    uint48 nextOperatorAt;
    uint128 active;
    uint128 frozen;
    address reporter;
    uint48 openedAt;
    uint48 convictedAt;
    address nextOperator;
    uint48 keyCount;
    uint128 queued;
    bytes32 manifestHash;
    bytes32 logOriginHash;
}

/// @dev Stake on its way out; `readyAt` is fixed when it is queued.
struct Unbonding {
    uint128 amount;
    uint48 readyAt;
}

/// @title Storage, token and owner's powers of the StakeRegistry
abstract contract RegistryState is Ownable2Step, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    uint48 public constant UNBOND_MIN = 1 days;
    uint48 public constant UNBOND_MAX = 60 days;
    uint48 public constant PAUSE_MAX = 14 days;

    IERC20 public immutable token;
    uint48 public immutable unbondDelay;
    uint48 public immutable keyDelay;
    uint48 public immutable potWindow;

    /// @notice Until when no money may come in.
    uint48 public pausedUntil;
    /// @notice How many accounts were ever opened.
    uint48 public accountCount;
    /// @notice Whether the first slashers are named, and accounts may be opened.
    bool public isOpen;

    mapping(address account => Account) internal _accounts;
    mapping(address account => Unbonding[]) internal _unbondings;
    /// @notice What an address may withdraw: refunds, rewards.
    mapping(address owner => uint128) public credits;

    event PausedUntil(uint48 until);
    event Credited(address indexed owner, uint128 amount);
    event CreditWithdrawn(address indexed owner, address indexed to, uint128 amount);

    constructor(IERC20 token_, address owner_, Times memory times) Ownable(owner_) {
        if (times.unbond < UNBOND_MIN || times.unbond > UNBOND_MAX) revert TimeOutOfBounds();
        if (times.key > times.unbond || times.pot > times.unbond || times.pot == 0) revert TimeOutOfBounds();
        token = token_;
        unbondDelay = times.unbond;
        keyDelay = times.key;
        potWindow = times.pot;
    }

    /// @notice Stops money from coming in for a while; 0 lifts it. Nothing that lets money out looks at this.
    function pause(uint48 duration) external onlyOwner {
        if (duration > PAUSE_MAX) revert TimeOutOfBounds();
        pausedUntil = _now() + duration;
        emit PausedUntil(pausedUntil);
    }

    function paused() public view returns (bool) {
        return _now() < pausedUntil;
    }

    /// @notice Who controls an address' money: an account's operator, or the address itself.
    function controllerOf(address owner_) public view returns (address) {
        address operator = _accounts[owner_].operator;
        return operator == address(0) ? owner_ : operator;
    }

    /// @notice Withdraws a credit, all of it.
    function withdrawCredit(address owner_, address to) external nonReentrant {
        if (controllerOf(owner_) != msg.sender) revert NotController();
        uint128 amount = credits[owner_];
        if (amount == 0) revert NothingToMove();
        credits[owner_] = 0;
        emit CreditWithdrawn(owner_, to, amount);
        token.safeTransfer(to, amount);
    }

    function _credit(address owner_, uint128 amount) internal {
        if (amount == 0) return;
        credits[owner_] += amount;
        emit Credited(owner_, amount);
    }

    /// @dev Takes exactly `amount` from the caller.
    function _receive(uint128 amount) internal {
        if (paused()) revert Paused();
        if (amount == 0) revert NothingToMove();
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amount);
        if (token.balanceOf(address(this)) - before != amount) revert TokenTookFee();
    }

    function _onlyOperator(address account) internal view {
        if (_accounts[account].operator != msg.sender) revert NotController();
    }

    function _now() internal view returns (uint48) {
        return uint48(block.timestamp);
    }
}
