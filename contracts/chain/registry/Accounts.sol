// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Account, NotController, NothingToMove, RegistryState, TooEarly, Unbonding, UnknownAccount} from "./RegistryState.sol";

/// @notice Thrown when the caller has an account already.
error AccountExists();
/// @notice Thrown when an account is opened before the first slashers are named.
error NotOpenYet();
/// @notice Thrown when an account was convicted: its stake is gone.
error Convicted();
/// @notice Thrown when an account has as many unbondings as it may have.
error TooManyUnbondings();
/// @notice Thrown when more stake is asked for than is there.
error NotEnoughStake();
/// @notice Thrown when what is left would not cover what open cases have frozen.
error StakeFrozen();
/// @notice Thrown when a log's origin was named before.
error LogOriginSet();

/// @title Accounts of the StakeRegistry: stake in, stake out, operators
/// @dev An account is named by the address that opened it, for ever; the operator is who controls it now.
abstract contract Accounts is RegistryState {
    using SafeERC20 for IERC20;

    uint256 public constant UNBONDINGS_MAX = 8;

    event AccountOpened(address indexed account, bytes32 manifestHash);
    event ManifestSet(address indexed account, bytes32 manifestHash);
    event LogOriginNamed(address indexed account, string origin);
    event StakeAdded(address indexed account, address indexed from, uint128 amount);
    event UnbondingQueued(address indexed account, uint128 amount, uint48 readyAt);
    event StakeWithdrawn(address indexed account, address indexed to, uint128 amount);
    event OperatorProposed(address indexed account, address indexed next, uint48 readyAt);
    event OperatorChanged(address indexed account, address indexed operator);

    /// @notice Opens the caller's account.
    /// @param manifestHash SHA-256 of the manifest's canonical JSON (SPEC.md §6.1), or zero
    function open(bytes32 manifestHash) external {
        if (!isOpen) revert NotOpenYet();
        Account storage account = _accounts[msg.sender];
        if (account.openedAt != 0) revert AccountExists();
        account.operator = msg.sender;
        account.openedAt = _now();
        account.manifestHash = manifestHash;
        accountCount += 1;
        emit AccountOpened(msg.sender, manifestHash);
    }

    function setManifest(address account, bytes32 manifestHash) external {
        _onlyOperator(account);
        _accounts[account].manifestHash = manifestHash;
        emit ManifestSet(account, manifestHash);
    }

    /// @notice Names the account's log, once: a gateway that begins another log stakes under another account.
    function nameLog(address account, string calldata origin) external {
        _onlyOperator(account);
        if (_accounts[account].logOriginHash != bytes32(0)) revert LogOriginSet();
        _accounts[account].logOriginHash = keccak256(bytes(origin));
        emit LogOriginNamed(account, origin);
    }

    /// @notice Adds stake to an account; anybody may.
    function stake(address account, uint128 amount) external nonReentrant {
        _live(account);
        _receive(amount);
        _accounts[account].active += amount;
        emit StakeAdded(account, msg.sender, amount);
    }

    /// @notice Begins to take stake out; it stays slashable until it is withdrawn.
    function unbond(address account, uint128 amount) external {
        _onlyOperator(account);
        Account storage held = _live(account);
        if (amount == 0) revert NothingToMove();
        if (amount > held.active) revert NotEnoughStake();
        Unbonding[] storage queue = _unbondings[account];
        if (queue.length >= UNBONDINGS_MAX) revert TooManyUnbondings();
        held.active -= amount;
        held.queued += amount;
        uint48 readyAt = _now() + unbondDelay;
        queue.push(Unbonding(amount, readyAt));
        emit UnbondingQueued(account, amount, readyAt);
    }

    /// @notice Pays out an unbonding that is ready, as far as nothing is frozen.
    /// @param index place in the account's queue; the last one takes the place of one that is paid in full
    function withdraw(address account, uint256 index, address to) external nonReentrant {
        _onlyOperator(account);
        Account storage held = _live(account);
        Unbonding[] storage queue = _unbondings[account];
        Unbonding storage entry = queue[index];
        if (_now() < entry.readyAt) revert TooEarly(entry.readyAt);
        uint128 free = _free(held);
        uint128 amount = entry.amount < free ? entry.amount : free;
        if (amount == 0) revert StakeFrozen();
        held.queued -= amount;
        entry.amount -= amount;
        if (entry.amount == 0) {
            queue[index] = queue[queue.length - 1];
            queue.pop();
        }
        emit StakeWithdrawn(account, to, amount);
        token.safeTransfer(to, amount);
    }

    /// @notice Names the next operator, who must accept after the delay; the operator may name another, or zero, meanwhile.
    function proposeOperator(address account, address next) external {
        _onlyOperator(account);
        uint48 readyAt = _now() + keyDelay;
        _accounts[account].nextOperator = next;
        _accounts[account].nextOperatorAt = readyAt;
        emit OperatorProposed(account, next, readyAt);
    }

    function acceptOperator(address account) external {
        Account storage held = _accounts[account];
        if (held.nextOperator != msg.sender) revert NotController();
        if (_now() < held.nextOperatorAt) revert TooEarly(held.nextOperatorAt);
        held.operator = msg.sender;
        held.nextOperator = address(0);
        emit OperatorChanged(account, msg.sender);
    }

    function accountOf(address account) external view returns (Account memory) {
        return _accounts[account];
    }

    function unbondingsOf(address account) external view returns (Unbonding[] memory) {
        return _unbondings[account];
    }

    function logOriginOf(address account) external view returns (bytes32) {
        return _accounts[account].logOriginHash;
    }

    /// @notice What an account can still lose: its stake, active and queued; nothing once it was convicted.
    function bondOf(address account) external view returns (uint128) {
        Account storage held = _accounts[account];
        return held.convictedAt == 0 ? held.active + held.queued : 0;
    }

    /// @notice Whether the stake covers all that open cases have frozen.
    function isCovered(address account) external view returns (bool) {
        Account storage held = _accounts[account];
        return held.frozen <= held.active + held.queued;
    }

    /// @dev What no open case can still take.
    function _free(Account storage held) internal view returns (uint128) {
        uint128 bond = held.active + held.queued;
        return bond > held.frozen ? bond - held.frozen : 0;
    }

    /// @dev Whether the account exists and was not convicted.
    function _live(address account) internal view returns (Account storage held) {
        held = _accounts[account];
        if (held.openedAt == 0) revert UnknownAccount();
        if (held.convictedAt != 0) revert Convicted();
    }
}
