// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {NobodyAnswers} from "../../contracts/chain/StakeRegistry.sol";
import {InvalidSignature} from "../../contracts/chain/lib/AssayDomain.sol";
import {Convicted} from "../../contracts/chain/registry/Accounts.sol";
import {KeyNotLive, KeyTaken} from "../../contracts/chain/registry/Keys.sol";
import {NotController, TooEarly} from "../../contracts/chain/registry/RegistryState.sol";
import {Base} from "./support/Base.sol";
import {vm} from "./support/Vm.sol";

contract KeysTest is Base {
    // Operators

    function test_acceptOperator_afterDelay_succeeds() public {
        vm.prank(gateway);
        registry.proposeOperator(gateway, stranger);
        vm.warp(START + KEY_DELAY);
        vm.startPrank(stranger);
        registry.acceptOperator(gateway);
        require(registry.accountOf(gateway).operator == stranger);
        vm.expectRevert(NotController.selector);
        registry.acceptOperator(gateway);
        registry.unbond(gateway, 1);
        vm.stopPrank();
        vm.prank(gateway);
        vm.expectRevert(NotController.selector);
        registry.unbond(gateway, 1);
    }

    function test_acceptOperator_tooEarly_reverts() public {
        vm.prank(gateway);
        registry.proposeOperator(gateway, stranger);
        vm.warp(START + KEY_DELAY - 1);
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(TooEarly.selector, START + KEY_DELAY));
        registry.acceptOperator(gateway);
    }

    function test_acceptOperator_calledOff_reverts() public {
        vm.startPrank(gateway);
        registry.proposeOperator(gateway, stranger);
        registry.proposeOperator(gateway, address(0));
        vm.stopPrank();
        _later(KEY_DELAY);
        vm.prank(stranger);
        vm.expectRevert(NotController.selector);
        registry.acceptOperator(gateway);
    }

    function test_proposeOperator_stranger_reverts() public {
        vm.prank(stranger);
        vm.expectRevert(NotController.selector);
        registry.proposeOperator(gateway, stranger);
    }

    // Keys

    function test_addKey_secondKey_worksAfterDelay() public {
        uint256 key = 0x2222;
        vm.prank(gateway);
        registry.addKey(gateway, vm.addr(key), _proof(gateway, key));
        require(registry.answers(vm.addr(key)) == gateway);
        require(!registry.mayAct(gateway, vm.addr(key)));
        _later(KEY_DELAY);
        require(registry.mayAct(gateway, vm.addr(key)));
    }

    function test_addKey_firstKey_worksAtOnce() public view {
        require(registry.mayAct(gateway, vm.addr(GATEWAY_KEY)));
        require(registry.mayAct(gateway, gateway));
        require(!registry.mayAct(gateway, stranger));
        require(!registry.mayAct(address(0), stranger));
        require(!registry.mayAct(_provider(0), vm.addr(GATEWAY_KEY)));
    }

    function test_addKey_taken_reverts() public {
        vm.prank(_provider(0));
        vm.expectRevert(KeyTaken.selector);
        registry.addKey(_provider(0), vm.addr(GATEWAY_KEY), _proof(_provider(0), GATEWAY_KEY));
    }

    /// Nobody makes his account answer for, or block, a key that is not his.
    function test_addKey_proofOfAnotherAccount_reverts() public {
        vm.prank(_provider(0));
        vm.expectRevert(InvalidSignature.selector);
        registry.addKey(_provider(0), vm.addr(0x2222), _proof(gateway, 0x2222));
    }

    function test_addKey_strangerOrConvicted_reverts() public {
        vm.prank(stranger);
        vm.expectRevert(NotController.selector);
        registry.addKey(gateway, vm.addr(0x2222), _proof(gateway, 0x2222));
        _equivocation(0, 0);
        vm.prank(_provider(0));
        vm.expectRevert(Convicted.selector);
        registry.addKey(_provider(0), vm.addr(0x2222), _proof(_provider(0), 0x2222));
    }

    function test_retireKey_answersUntilDelayIsOver() public {
        address key = vm.addr(GATEWAY_KEY);
        vm.prank(gateway);
        registry.retireKey(gateway, key);
        require(!registry.mayAct(gateway, key));
        vm.warp(START + UNBOND - 1);
        require(registry.answers(key) == gateway);
        vm.warp(START + UNBOND);
        require(registry.answers(key) == address(0));
    }

    function test_retireKey_twiceOrForeign_reverts() public {
        address key = vm.addr(GATEWAY_KEY);
        vm.startPrank(gateway);
        registry.retireKey(gateway, key);
        vm.expectRevert(KeyNotLive.selector);
        registry.retireKey(gateway, key);
        vm.expectRevert(KeyNotLive.selector);
        registry.retireKey(gateway, vm.addr(_providerKey(0)));
        vm.stopPrank();
        vm.prank(stranger);
        vm.expectRevert(NotController.selector);
        registry.retireKey(gateway, key);
    }

    /// Changing keys is no escape: the old key still convicts.
    function test_convict_retiredKey_succeeds() public {
        vm.prank(_provider(0));
        registry.retireKey(_provider(0), vm.addr(_providerKey(0)));
        vm.warp(START + UNBOND - 1);
        _equivocation(0, 0);
        require(registry.accountOf(_provider(0)).convictedAt != 0);
    }

    function test_convict_keyThatAnswersNoMore_reverts() public {
        vm.prank(_provider(0));
        registry.retireKey(_provider(0), vm.addr(_providerKey(0)));
        vm.warp(START + UNBOND);
        bytes memory call = abi.encodeCall(this.equivocate, (0));
        (bool done, bytes memory why) = address(this).call(call);
        require(!done && bytes4(why) == NobodyAnswers.selector);
    }

    function equivocate(uint256 i) external {
        _equivocation(i, 0);
    }
}
