// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {RegistryState} from "./RegistryState.sol";

/// @notice Thrown when the caller has no power over stake.
error NotSlasher();
/// @notice Thrown when first slashers are named twice.
error AlreadyOpen();
/// @notice Thrown when a slasher is added or retired twice.
error SlasherKnown();

/// @notice What a contract must say before it may become a slasher.
interface ISlasher {
    /// @notice Seconds from its first step on a fault until it has settled, at most.
    function disputeTime() external view returns (uint48);
}

/// @notice Thrown when a slasher's disputes would last longer than stake is held back.
error DisputesTooLong();

/// @title Who may slash
/// @dev INVARIANT: nobody's stake comes under a slasher that was not announced for longer than it takes to leave.
abstract contract Slashers is RegistryState {
    /// @dev Time to read an announcement and to begin to leave.
    uint48 public constant NOTICE = 7 days;

    /// @dev `until` is 0 while no end is set.
    struct Slasher {
        uint48 from;
        uint48 until;
    }

    mapping(address slasher => Slasher) public slashers;

    event SlasherAdded(address indexed slasher, uint48 from);
    event SlasherRetired(address indexed slasher, uint48 until);

    /// @notice Names the slashers that everybody finds when he comes, once: nobody can open an account before.
    function installSlashers(address[] calldata first) external onlyOwner {
        if (isOpen) revert AlreadyOpen();
        isOpen = true;
        for (uint256 i = 0; i < first.length; ++i) _add(first[i], _now());
    }

    /// @notice Announces a slasher; who does not want it has left before it has power.
    function addSlasher(address slasher) external onlyOwner {
        _add(slasher, _now() + unbondDelay + NOTICE);
    }

    /// @notice Announces a slasher's end: what was done before can be proven before.
    function retireSlasher(address slasher) external onlyOwner {
        Slasher storage entry = slashers[slasher];
        if (entry.from == 0 || entry.until != 0) revert SlasherKnown();
        entry.until = _now() + unbondDelay + NOTICE;
        emit SlasherRetired(slasher, entry.until);
    }

    function isSlasher(address slasher) public view returns (bool) {
        Slasher memory entry = slashers[slasher];
        return entry.from != 0 && _now() >= entry.from && (entry.until == 0 || _now() < entry.until);
    }

    function _add(address slasher, uint48 from) private {
        if (slashers[slasher].from != 0) revert SlasherKnown();
        // Stake must outlast the time to find a fault and the dispute about it.
        if (ISlasher(slasher).disputeTime() + NOTICE > unbondDelay) revert DisputesTooLong();
        slashers[slasher] = Slasher(from, 0);
        emit SlasherAdded(slasher, from);
    }

    function _onlySlasher() internal view {
        if (!isSlasher(msg.sender)) revert NotSlasher();
    }
}
