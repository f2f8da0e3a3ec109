// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Division, JudgedFault, Outcome} from "../../contracts/chain/Rulings.sol";
import {TokenTookFee} from "../../contracts/chain/registry/RegistryState.sol";
import {SettlementBase} from "./support/SettlementBase.sol";
import {TestToken} from "./support/Tokens.sol";
import {vm} from "./support/Vm.sol";

/// @dev What a token may do to its holders, and what the contracts let it do.
contract TokensTest is SettlementBase {
    function _in() private {
        vm.startPrank(stranger);
        vm.expectRevert();
        registry.stake(gateway, 10);
        vm.expectRevert();
        settlement.deposit(gateway, 10);
        vm.expectRevert();
        settlement.fund(gateway, 10);
        vm.expectRevert();
        rulings.openCase(_provider(0), "d", "b", JudgedFault.WrongOutput);
        vm.stopPrank();
        _assertEq(registry.accountOf(gateway).active, STAKE);
        _assertEq(settlement.poolOf(gateway).funded, 0);
        _assertEq(registry.accountOf(_provider(0)).frozen, 0);
    }

    function test_moneyIn_tokenReverts_reverts() public {
        token.setMood(TestToken.Mood.Reverts);
        _in();
    }

    function test_moneyIn_tokenReturnsFalse_reverts() public {
        token.setMood(TestToken.Mood.ReturnsFalse);
        _in();
    }

    /// A token that takes a fee would leave the books above the balance: its deposits are refused.
    function test_moneyIn_tokenTakesFee_reverts() public {
        token.setMood(TestToken.Mood.TakesFee);
        vm.startPrank(stranger);
        vm.expectRevert(TokenTookFee.selector);
        registry.stake(gateway, 10);
        vm.expectRevert(TokenTookFee.selector);
        settlement.deposit(gateway, 10);
        vm.expectRevert(TokenTookFee.selector);
        settlement.fund(gateway, 10);
        vm.expectRevert(TokenTookFee.selector);
        rulings.openCase(_provider(0), "d", "b", JudgedFault.WrongOutput);
        vm.stopPrank();
        _in();
    }

    /// What cannot be paid is not written off: it can be taken once the token works again.
    function test_moneyOut_tokenFails_keepsTheClaim() public {
        bytes32[] memory tree = _active(300, 700);
        _deposit(100);
        vm.prank(_client());
        settlement.startExit(gateway);
        vm.prank(gateway);
        registry.unbond(gateway, 50);
        _later(UNBOND);
        for (uint256 i = 0; i < 2; ++i) {
            token.setMood(i == 0 ? TestToken.Mood.Reverts : TestToken.Mood.ReturnsFalse);
            vm.prank(gateway);
            vm.expectRevert();
            registry.withdraw(gateway, 0, gateway);
            vm.prank(_client());
            vm.expectRevert();
            settlement.finishExit(gateway);
            _claimFails(tree);
        }
        token.setMood(TestToken.Mood.Honest);
        vm.prank(gateway);
        registry.withdraw(gateway, 0, gateway);
        vm.prank(_client());
        settlement.finishExit(gateway);
        settlement.claim(gateway, _provider(0), _earned(tree, 0, 0, 300, _stands(tree, 1_000, 5)));
    }

    function _claimFails(bytes32[] memory tree) private {
        bytes memory call = abi.encodeCall(settlement.claim, (gateway, _provider(0), _earned(tree, 0, 0, 300, _stands(tree, 1_000, 5))));
        (bool done,) = address(settlement).call(call);
        require(!done);
    }

    // Reentrancy: a token that calls back in the middle of a payment finds the door shut and the books closed.

    function test_withdraw_reentered_paysOnce() public {
        vm.startPrank(gateway);
        registry.unbond(gateway, 50);
        // Another that is ready stands in the first one's place while that is paid.
        registry.unbond(gateway, 30);
        registry.proposeOperator(gateway, address(token));
        vm.stopPrank();
        _later(UNBOND);
        vm.prank(address(token));
        registry.acceptOperator(gateway);
        token.attack(address(registry), abi.encodeCall(registry.withdraw, (gateway, 0, gateway)));
        vm.prank(address(token));
        registry.withdraw(gateway, 0, address(0xD0));
        require(!token.reentered());
        _assertEq(token.balanceOf(address(0xD0)), 50);
    }

    function test_stake_reentered_countsOnce() public {
        vm.prank(address(token));
        token.approve(address(registry), 100);
        token.mint(address(token), 100);
        token.attack(address(registry), abi.encodeCall(registry.stake, (gateway, 10)));
        vm.prank(stranger);
        registry.stake(gateway, 10);
        require(!token.reentered());
        _assertEq(registry.accountOf(gateway).active, STAKE + 10);
    }

    function test_claim_reentered_paysOnce() public {
        bytes32[] memory tree = _active(300, 700);
        bytes memory call = abi.encodeCall(settlement.claim, (gateway, _provider(1), _earned(tree, 0, 1, 700, _stands(tree, 1_000, 5))));
        token.attack(address(settlement), call);
        settlement.claim(gateway, _provider(0), _earned(tree, 0, 0, 300, _stands(tree, 1_000, 5)));
        require(!token.reentered());
        _assertEq(settlement.poolOf(gateway).paid, 300);
    }

    function test_finishExit_reentered_paysOnce() public {
        vm.startPrank(address(token));
        token.approve(address(settlement), 100);
        token.mint(address(token), 100);
        settlement.deposit(gateway, 40);
        settlement.startExit(gateway);
        vm.stopPrank();
        _later(EXIT);
        token.attack(address(settlement), abi.encodeCall(settlement.deposit, (gateway, 60)));
        vm.prank(address(token));
        settlement.finishExit(gateway);
        require(!token.reentered());
        _assertEq(token.balanceOf(address(settlement)), 0);
    }

    function test_depositAndFund_reentered_countOnce() public {
        token.mint(address(token), 100);
        vm.prank(address(token));
        token.approve(address(settlement), 100);
        token.attack(address(settlement), abi.encodeCall(settlement.fund, (gateway, 10)));
        vm.prank(stranger);
        settlement.deposit(gateway, 10);
        require(!token.reentered());
        token.attack(address(settlement), abi.encodeCall(settlement.deposit, (gateway, 10)));
        vm.prank(stranger);
        settlement.fund(gateway, 10);
        require(!token.reentered());
        _assertEq(settlement.poolOf(gateway).funded, 10);
    }

    function test_withdrawMargin_reentered_paysOnce() public {
        _fund(100);
        vm.prank(gateway);
        registry.proposeOperator(gateway, address(token));
        _later(KEY_DELAY);
        vm.prank(address(token));
        registry.acceptOperator(gateway);
        token.attack(address(settlement), abi.encodeCall(settlement.withdrawMargin, (gateway, 10, gateway)));
        vm.prank(address(token));
        settlement.withdrawMargin(gateway, 10, address(0xD0));
        require(!token.reentered());
        _assertEq(settlement.poolOf(gateway).withdrawn, 10);
    }

    function test_withdrawCreditAndBurn_reentered_payOnce() public {
        vm.prank(address(token));
        this.convict();
        _later(POT);
        registry.collect(_provider(0));
        token.attack(address(registry), abi.encodeCall(registry.burn, ()));
        registry.withdrawCredit(address(this), address(0xD0));
        require(!token.reentered());
        bytes memory stake = abi.encodeCall(registry.stake, (gateway, 1));
        token.mint(address(token), 1);
        vm.prank(address(token));
        token.approve(address(registry), 1);
        token.attack(address(registry), stake);
        registry.burn();
        require(!token.reentered());
    }

    /// Bonds: money that comes in while other money comes in is refused, and a bond goes out once.
    function test_openCase_reentered_reverts() public {
        token.mint(address(token), BOND);
        vm.prank(address(token));
        token.approve(address(rulings), BOND);
        bytes memory other =
            abi.encodeCall(rulings.openCase, (_provider(1), "d", "b", JudgedFault.WrongOutput));
        token.attack(address(rulings), other);
        vm.prank(stranger);
        vm.expectRevert(TokenTookFee.selector);
        rulings.openCase(_provider(0), "d", "b", JudgedFault.WrongOutput);
        _assertEq(token.balanceOf(address(rulings)), 0);
        _assertEq(registry.accountOf(_provider(0)).frozen + registry.accountOf(_provider(1)).frozen, 0);
    }

    function test_withdrawBond_reentered_paysOnce() public {
        token.mint(address(token), BOND);
        vm.startPrank(address(token));
        token.approve(address(rulings), BOND);
        bytes32 caseId = rulings.openCase(_provider(0), "d", "b", JudgedFault.WrongOutput);
        vm.stopPrank();
        _openCase(1);
        Division memory none = _division(address(0), 0, address(0));
        rulings.rule(caseId, Outcome.Upheld, none, _voices(caseId, 0, Outcome.Upheld, none, 2));
        _later(2 days);
        rulings.finalize(caseId, none);
        token.attack(address(rulings), abi.encodeCall(rulings.withdrawBond, (address(token), address(token))));
        vm.prank(address(token));
        rulings.withdrawBond(address(token), address(0xD0));
        require(!token.reentered());
        _assertEq(token.balanceOf(address(0xD0)), BOND);
        _assertEq(token.balanceOf(address(rulings)), BOND);
    }

    function convict() external {
        _equivocation(0, 0);
    }
}
