// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Account, Unbonding} from "../../../contracts/chain/registry/RegistryState.sol";
import {SettlementBase} from "./SettlementBase.sol";
import {vm} from "./Vm.sol";

/// @dev Thrown by a step for which there is no occasion: so that forge's count of reverts tells how often a step did something.
error NoOccasion();

/// @dev Stake that comes and goes. Accounts 0 to 2 are providers, 3 is the gateway; 0 is the honest ghost.
abstract contract StakeLife is SettlementBase {
    uint128 public honestPut = STAKE;
    uint128 public honestTaken;
    /// @dev Whether a withdrawal left less than what open cases can take.
    bool public cutIntoFrozen;

    function stake(uint8 who, uint96 amount) external {
        address account = _someLive(who);
        amount = amount % 1_000 + 1;
        vm.prank(stranger);
        registry.stake(account, amount);
        if (account == _provider(0)) honestPut += amount;
    }

    function unbond(uint8 who, uint96 amount) external {
        address account = _someLive(who);
        uint128 active = registry.accountOf(account).active;
        if (active == 0 || registry.unbondingsOf(account).length == 8) revert NoOccasion();
        vm.prank(account);
        registry.unbond(account, amount % active + 1);
    }

    function withdraw(uint8 who) external {
        for (uint256 k = 0; k < 4; ++k) {
            address account = _account((uint256(who) + k) % 4);
            Unbonding[] memory queue = registry.unbondingsOf(account);
            for (uint256 i = 0; i < queue.length; ++i) {
                if (block.timestamp >= queue[i].readyAt && _withdraw(account, i)) return;
            }
        }
        revert NoOccasion();
    }

    function collect(uint8 who) external {
        for (uint256 k = 0; k < 4; ++k) {
            try registry.collect(_account((uint256(who) + k) % 4)) {
                return;
            } catch {}
        }
        revert NoOccasion();
    }

    function takeCredit(uint8 who) external {
        for (uint256 k = 0; k < 6; ++k) {
            address owner_ = _party((uint256(who) + k) % 6);
            if (registry.credits(owner_) == 0) continue;
            vm.prank(owner_);
            return registry.withdrawCredit(owner_, owner_);
        }
        revert NoOccasion();
    }

    function burn() external {
        registry.burn();
    }

    /// @dev Mostly lifted again at once: while it lasts nothing new begins.
    function pause(uint32 duration) external {
        vm.prank(owner);
        registry.pause(duration % 3 == 0 ? duration % 2 days : 0);
    }

    function _withdraw(address account, uint256 index) private returns (bool done) {
        uint256 before = token.balanceOf(account);
        vm.prank(account);
        try registry.withdraw(account, index, account) {
            done = true;
        } catch {
            return false;
        }
        if (account == _provider(0)) honestTaken += uint128(token.balanceOf(account) - before);
        Account memory held = registry.accountOf(account);
        if (held.active + held.queued < held.frozen) cutIntoFrozen = true;
    }

    function _account(uint256 i) internal view returns (address) {
        return i == 3 ? gateway : _provider(i);
    }

    /// @dev Accounts, then who accuses, the client, and this contract, which reports.
    function _party(uint256 i) internal view returns (address) {
        if (i < 4) return _account(i);
        return i == 4 ? stranger : i == 5 ? _client() : address(this);
    }

    function _someLive(uint8 who) private view returns (address account) {
        for (uint256 k = 0; k < 4; ++k) {
            account = _account((uint256(who) + k) % 4);
            if (registry.accountOf(account).convictedAt == 0) return account;
        }
    }
}
