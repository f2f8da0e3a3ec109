// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Convicted} from "../../contracts/chain/registry/Accounts.sol";
import {NothingToMove, TooEarly, UnknownAccount} from "../../contracts/chain/registry/RegistryState.sol";
import {vm} from "./support/Vm.sol";
import {SlasherBase} from "./support/SlasherBase.sol";

contract ConvictionsTest is SlasherBase {
    function test_convict_twice_reverts() public {
        registry.convict(_key, stranger, type(uint48).max);
        vm.expectRevert(Convicted.selector);
        registry.convict(_key, address(0x1), type(uint48).max);
        vm.expectRevert(Convicted.selector);
        registry.convict(_key, address(0x1), uint48(block.timestamp));
    }

    /// Whoever announced first stays the reporter, though a later announcement is shown after his proof.
    function test_convict_firstAnnouncement_isKept() public {
        uint48 announcedAt = uint48(block.timestamp);
        _later(10);
        registry.convict(_key, stranger, announcedAt);
        vm.expectRevert(Convicted.selector);
        registry.convict(_key, address(0x1), announcedAt);
        vm.expectRevert(Convicted.selector);
        registry.convict(_key, address(0x1), announcedAt + 1);
        registry.convict(_key, address(0x1), announcedAt - 1);
        require(registry.accountOf(_account).reporter == address(0x1));
    }

    /// An announcement of more than a day before counts for nothing, whoever proves with it.
    function test_convict_firstAnnouncementTooOld_isBeaten() public {
        registry.convict(_key, stranger, uint48(block.timestamp - 1 days - 1));
        registry.convict(_key, address(0x1), uint48(block.timestamp - 1));
        require(registry.accountOf(_account).reporter == address(0x1));
    }

    function test_convict_announcedBefore_takesTheReward() public {
        registry.convict(_key, stranger, type(uint48).max);
        uint48 convictedAt = uint48(block.timestamp);
        _later(POT - 2 days);
        vm.expectRevert(Convicted.selector);
        registry.convict(_key, address(0x1), convictedAt - 1 days - 1);
        registry.convict(_key, address(0x1), convictedAt - 1);
        require(registry.accountOf(_account).reporter == address(0x1));
        // Only what was announced earlier still goes before it.
        vm.expectRevert(Convicted.selector);
        registry.convict(_key, address(0x2), convictedAt - 1);
        vm.expectRevert(Convicted.selector);
        registry.convict(_key, address(0x2), convictedAt - 1 - 1 days);
        registry.convict(_key, address(0x2), convictedAt - 1 days);
        require(registry.accountOf(_account).reporter == address(0x2));
        _assertEq(registry.accountOf(_account).convictedAt, convictedAt);
    }

    function test_convict_announcedButPotOver_reverts() public {
        registry.convict(_key, stranger, type(uint48).max);
        uint48 convictedAt = uint48(block.timestamp);
        _later(POT);
        vm.expectRevert(Convicted.selector);
        registry.convict(_key, address(0x1), convictedAt - 1);
    }

    function test_collect_beforeTime_reverts() public {
        vm.expectRevert(UnknownAccount.selector);
        registry.collect(_account);
        registry.convict(_key, stranger, type(uint48).max);
        uint48 readyAt = uint48(block.timestamp) + POT;
        _later(POT - 1);
        vm.expectRevert(abi.encodeWithSelector(TooEarly.selector, readyAt));
        registry.collect(_account);
        _later(1);
        registry.collect(_account);
        vm.expectRevert(NothingToMove.selector);
        registry.collect(_account);
        _assertEq(registry.credits(stranger), STAKE * 3 / 10);
    }

    /// A client whom an equivocator harmed opens a case in the pot window: its share is taken out of the pot.
    function test_collect_openCase_isLeftOut() public {
        registry.convict(_key, stranger, type(uint48).max);
        _later(POT - 1);
        registry.freeze(_account, ID, 2_000, 10 days);
        _later(1);
        registry.collect(_account);
        _assertEq(registry.accountOf(_account).active, STAKE / 5);
        registry.settle(ID, _client(), 1_000, new address[](0));
        _assertEq(registry.credits(_client()), 1_000);
        _assertEq(registry.accountOf(_account).active, 0);
    }

    function test_collect_releasedCase_isCollectedToo() public {
        registry.convict(_key, stranger, type(uint48).max);
        registry.freeze(_account, ID, 2_000, 10 days);
        _later(POT);
        registry.collect(_account);
        registry.release(address(this), ID);
        registry.collect(_account);
        _assertEq(registry.accountOf(_account).active, 0);
    }

    function test_freeze_afterPotWindow_reverts() public {
        registry.convict(_key, stranger, type(uint48).max);
        _later(POT);
        vm.expectRevert(Convicted.selector);
        registry.freeze(_account, ID, 2_000, 10 days);
    }
}
