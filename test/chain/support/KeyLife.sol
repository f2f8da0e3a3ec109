// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {NoOccasion, StakeLife} from "./StakeLife.sol";
import {vm} from "./Vm.sol";

/// @dev Signing keys that come and go: whoever changes its key answers for the old one as long as stake would be unbonding.
abstract contract KeyLife is StakeLife {
    /// @dev How often a provider has changed its key; the next one waits where `_waits`.
    uint256[3] private _changes;
    bool[3] private _waits;
    uint256[] private _retired;
    /// @dev Whether a retired key convicted after its time, or did not within it.
    bool public keyMisjudged;

    function addKey(uint8 who) external {
        uint256 i = who % 3;
        address account = _provider(i);
        if (_waits[i] || registry.accountOf(account).convictedAt != 0) revert NoOccasion();
        uint256 key = _keyAfter(i, _changes[i] + 1);
        bytes memory proof = _proof(account, key);
        vm.prank(account);
        registry.addKey(account, vm.addr(key), proof);
        _waits[i] = true;
    }

    /// @dev The new key takes over once it works.
    function retireKey(uint8 who) external {
        uint256 i = who % 3;
        (, uint48 worksFrom,) = registry.keys(vm.addr(_keyAfter(i, _changes[i] + 1)));
        if (!_waits[i] || block.timestamp < worksFrom) revert NoOccasion();
        address old = vm.addr(_keyOf(i));
        vm.prank(_provider(i));
        registry.retireKey(_provider(i), old);
        if (i != 0) _retired.push(_keyOf(i));
        _waits[i] = false;
        ++_changes[i];
    }

    function equivocate(uint8 who) external {
        // Seldom: who is convicted has no further life.
        if (who % 4 != 0) revert NoOccasion();
        _equivocationBy(_keyOf(who / 4 % 2 + 1), 0);
    }

    /// @dev What a retired key signed convicts while it answers, and never after.
    function equivocateByRetired(uint256 which) external {
        if (which % 4 != 0 || _retired.length == 0) revert NoOccasion();
        uint256 key = _retired[which / 4 % _retired.length];
        (address account,, uint48 answersUntil) = registry.keys(vm.addr(key));
        if (registry.accountOf(account).convictedAt != 0) revert NoOccasion();
        bool convicts;
        try this.equivocationBy(key) {
            convicts = true;
        } catch {}
        if (convicts != block.timestamp < answersUntil) keyMisjudged = true;
    }

    function equivocationBy(uint256 key) external {
        _equivocationBy(key, 0);
    }

    /// @dev The key that provider `i` signs with now.
    function _keyOf(uint256 i) internal view returns (uint256) {
        return _keyAfter(i, _changes[i]);
    }

    function _keyAfter(uint256 i, uint256 changes) private pure returns (uint256) {
        return _providerKey(i) + 0x10000 * changes;
    }
}
