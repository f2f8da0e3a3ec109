// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {InvalidSignature} from "../lib/AssayDomain.sol";
import {NothingToMove, TooEarly} from "../registry/RegistryState.sol";
import {SettlementState} from "./SettlementState.sol";

/// @notice Thrown when a voucher is of an earlier life of the channel.
error WrongEpoch();
/// @notice Thrown when a voucher is for more than the client has deposited; it can be redeemed whole after a top-up.
error Underfunded();
/// @notice Thrown when a voucher is for no more than was redeemed before.
error NothingNew();
/// @notice Thrown when an exit is ended or called off that never began.
error NoExit();

/// @dev What one client has put up for one gateway.
struct Channel {
    uint128 deposited;
    uint128 redeemed;
    uint64 epoch;
    uint48 exitAt;
}

/// @title Escrow of clients: cumulative vouchers, and a way out that needs nobody
abstract contract Escrow is SettlementState {
    bytes32 private constant VOUCHER =
        keccak256("Voucher(address settlement,address client,address gateway,uint64 epoch,uint128 cumulative)");

    /// @notice Seconds from the start of an exit to its end: the gateway's time to redeem its last voucher.
    uint48 public immutable exitDelay;

    mapping(address client => mapping(address gateway => Channel)) private _channels;

    event Deposited(address indexed client, address indexed gateway, uint64 epoch, uint128 amount);
    event Redeemed(address indexed client, address indexed gateway, uint64 epoch, uint128 cumulative, uint128 amount);
    event ExitStarted(address indexed client, address indexed gateway, uint48 exitAt);
    event ExitCancelled(address indexed client, address indexed gateway);
    event Exited(address indexed client, address indexed gateway, uint64 epoch, uint128 amount);

    constructor(uint48 exitDelay_) {
        exitDelay = _boundedDelay(exitDelay_);
    }

    /// @notice Puts the caller's money into escrow for one gateway. Calls off an exit: otherwise one that was begun before
    /// could end in the block after the deposit.
    function deposit(address gateway, uint128 amount) external nonReentrant {
        _receive(amount);
        Channel storage channel = _channels[msg.sender][gateway];
        channel.deposited += amount;
        if (channel.exitAt != 0) {
            channel.exitAt = 0;
            emit ExitCancelled(msg.sender, gateway);
        }
        emit Deposited(msg.sender, gateway, channel.epoch, amount);
    }

    /// @notice Redeems a voucher, all of it or nothing. Only the gateway: nobody can redeem its vouchers in crumbs.
    function redeem(address gateway, address client, uint64 epoch, uint128 cumulative, bytes calldata signature)
        external
    {
        _onlyGateway(gateway);
        Channel storage channel = _channels[client][gateway];
        if (epoch != channel.epoch) revert WrongEpoch();
        if (cumulative > channel.deposited) revert Underfunded();
        if (cumulative <= channel.redeemed) revert NothingNew();
        bytes32 structHash = keccak256(abi.encode(VOUCHER, address(this), client, gateway, epoch, cumulative));
        if (_signerOf(structHash, signature) != client) revert InvalidSignature();
        uint128 amount = cumulative - channel.redeemed;
        channel.redeemed = cumulative;
        _addTo(gateway, amount);
        emit Redeemed(client, gateway, epoch, cumulative, amount);
    }

    /// @notice Begins the caller's exit.
    function startExit(address gateway) external {
        Channel storage channel = _channels[msg.sender][gateway];
        if (channel.exitAt != 0) revert TooEarly(channel.exitAt);
        channel.exitAt = _now() + exitDelay;
        emit ExitStarted(msg.sender, gateway, channel.exitAt);
    }

    function cancelExit(address gateway) external {
        Channel storage channel = _channels[msg.sender][gateway];
        if (channel.exitAt == 0) revert NoExit();
        channel.exitAt = 0;
        emit ExitCancelled(msg.sender, gateway);
    }

    /// @notice Ends the exit: what was not redeemed goes back, and vouchers of this epoch are worth nothing from now on.
    function finishExit(address gateway) external nonReentrant {
        Channel storage channel = _channels[msg.sender][gateway];
        if (channel.exitAt == 0) revert NoExit();
        if (_now() < channel.exitAt) revert TooEarly(channel.exitAt);
        uint128 amount = channel.deposited - channel.redeemed;
        if (amount == 0) revert NothingToMove();
        uint64 epoch = channel.epoch;
        _channels[msg.sender][gateway] = Channel(0, 0, epoch + 1, 0);
        emit Exited(msg.sender, gateway, epoch, amount);
        _pay(msg.sender, amount);
    }

    function channelOf(address client, address gateway) external view returns (Channel memory) {
        return _channels[client][gateway];
    }
}
