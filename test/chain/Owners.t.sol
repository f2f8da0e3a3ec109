// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {StakeRegistry} from "../../contracts/chain/StakeRegistry.sol";
import {Paused, TimeOutOfBounds, Times} from "../../contracts/chain/registry/RegistryState.sol";
import {AlreadyOpen, DisputesTooLong, SlasherKnown} from "../../contracts/chain/registry/Slashers.sol";
import {Base} from "./support/Base.sol";
import {vm} from "./support/Vm.sol";

contract SlowSlasher {
    uint48 public disputeTime;

    constructor(uint48 time) {
        disputeTime = time;
    }
}

/// @dev What the owner of the StakeRegistry can do, and what not.
contract OwnersTest is Base {
    function test_pause_stopsMoneyComingInOnly() public {
        vm.prank(gateway);
        registry.unbond(gateway, 10);
        _later(UNBOND);
        vm.prank(owner);
        registry.pause(14 days);
        require(registry.paused());
        vm.prank(stranger);
        vm.expectRevert(Paused.selector);
        registry.stake(gateway, 1);
        vm.startPrank(gateway);
        registry.withdraw(gateway, 0, gateway);
        registry.unbond(gateway, 1);
        vm.stopPrank();
        _equivocation(0, 0);
        _later(14 days);
        require(!registry.paused());
        registry.collect(_provider(0));
    }

    function test_pause_tooLongOrStranger_reverts() public {
        vm.prank(owner);
        vm.expectRevert(TimeOutOfBounds.selector);
        registry.pause(14 days + 1);
        vm.prank(stranger);
        vm.expectRevert();
        registry.pause(1);
    }

    function test_addSlasher_hasPowerOnlyAfterNotice() public {
        address slasher = address(new SlowSlasher(14 days));
        vm.prank(owner);
        registry.addSlasher(slasher);
        vm.warp(START + UNBOND + 7 days - 1);
        require(!registry.isSlasher(slasher));
        vm.warp(START + UNBOND + 7 days);
        require(registry.isSlasher(slasher));
        require(!registry.isSlasher(stranger));
    }

    function test_addSlasher_disputesTooLong_reverts() public {
        address slasher = address(new SlowSlasher(14 days + 1));
        vm.prank(owner);
        vm.expectRevert(DisputesTooLong.selector);
        registry.addSlasher(slasher);
    }

    function test_addSlasher_knownOrStranger_reverts() public {
        vm.prank(owner);
        vm.expectRevert(SlasherKnown.selector);
        registry.addSlasher(address(evidence));
        address slasher = address(new SlowSlasher(1));
        vm.prank(stranger);
        vm.expectRevert();
        registry.addSlasher(slasher);
    }

    function test_installSlashers_afterFirstAccountOrStranger_reverts() public {
        address[] memory none = new address[](0);
        vm.prank(owner);
        vm.expectRevert(AlreadyOpen.selector);
        registry.installSlashers(none);
        StakeRegistry fresh = new StakeRegistry(token, owner, Times(UNBOND, KEY_DELAY, POT));
        vm.prank(stranger);
        vm.expectRevert();
        fresh.installSlashers(none);
    }

    /// An owner who is a friend of the accused cannot take the court away in time.
    function test_retireSlasher_keepsPowerForAsLongAsStakeIsHeld() public {
        vm.prank(owner);
        registry.retireSlasher(address(evidence));
        vm.warp(START + UNBOND + 7 days - 1);
        require(registry.isSlasher(address(evidence)));
        vm.warp(START + UNBOND + 7 days);
        require(!registry.isSlasher(address(evidence)));
        vm.startPrank(owner);
        vm.expectRevert(SlasherKnown.selector);
        registry.retireSlasher(address(evidence));
        vm.expectRevert(SlasherKnown.selector);
        registry.retireSlasher(stranger);
        vm.stopPrank();
        vm.prank(stranger);
        vm.expectRevert();
        registry.retireSlasher(address(rulings));
    }
}
