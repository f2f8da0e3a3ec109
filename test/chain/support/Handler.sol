// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Account} from "../../../contracts/chain/registry/RegistryState.sol";
import {MoneyLife} from "./MoneyLife.sol";
import {vm} from "./Vm.sol";

/// @dev Random lives of three providers, a gateway, a client, accusers and referees. Provider 0 is the honest ghost: it
/// signs nothing twice, answers demands in time and appeals. A step looks for an occasion from a random place on, and
/// reverts where there is none.
contract Handler is MoneyLife {
    function world() external view returns (address, address, address, address) {
        return (address(registry), address(settlement), address(evidence), address(rulings));
    }

    function wait(uint32 duration) external {
        _answerForTheHonest();
        _later(duration % 1 days);
    }

    function waitDays(uint32 duration) external {
        _answerForTheHonest();
        _later(duration % 4 days);
    }

    function waitLong(uint32 duration) external {
        _answerForTheHonest();
        _later(duration % 25 days);
    }

    /// @dev The end of the world: every clock runs out, and everybody takes what is his, while the owner has paused.
    function drain() external {
        _answerForTheHonest();
        _later(400 days);
        vm.prank(owner);
        registry.pause(14 days);
        for (uint256 i = 0; i < cases.length; ++i) {
            try rulings.finalize(cases[i], _divisions[cases[i]]) {} catch {}
        }
        for (uint256 i = 0; i < demands.length; ++i) try evidence.dropDemand(demands[i]) {} catch {}
        for (uint256 i = 0; i < 4; ++i) _leave(_account(i));
        _drainSettlement();
        for (uint256 i = 0; i < 7; ++i) {
            address who = _party(i);
            vm.startPrank(who);
            try registry.withdrawCredit(who, who) {} catch {}
            try rulings.withdrawBond(who, who) {} catch {}
            try evidence.withdrawBond(who, who) {} catch {}
            vm.stopPrank();
        }
        try registry.burn() {} catch {}
    }

    function _leave(address account) private {
        Account memory held = registry.accountOf(account);
        if (held.convictedAt != 0) {
            try registry.collect(account) {} catch {}
            return;
        }
        uint256 before = token.balanceOf(account);
        vm.startPrank(account);
        for (uint256 n = registry.unbondingsOf(account).length; n > 0; --n) registry.withdraw(account, n - 1, account);
        if (held.active != 0) registry.unbond(account, held.active);
        _later(UNBOND);
        if (held.active != 0) registry.withdraw(account, 0, account);
        vm.stopPrank();
        if (account == _provider(0)) honestTaken += uint128(token.balanceOf(account) - before);
    }

    function _drainSettlement() private {
        for (uint8 i = 0; i < 3; ++i) _claim(i);
        vm.startPrank(gateway);
        uint128 margin = _margin();
        if (margin > 0) settlement.withdrawMargin(gateway, margin, gateway);
        vm.stopPrank();
        vm.startPrank(_client());
        try settlement.startExit(gateway) {} catch {}
        _later(EXIT);
        try settlement.finishExit(gateway) {} catch {}
        vm.stopPrank();
    }
}
