// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {DrawEvidence} from "../../../contracts/chain/DrawEvidence.sol";
import {Evidence} from "../../../contracts/chain/Evidence.sol";
import {Division, JudgedFault, Outcome, Rulings, Windows} from "../../../contracts/chain/Rulings.sol";
import {Settlement} from "../../../contracts/chain/Settlement.sol";
import {StakeRegistry} from "../../../contracts/chain/StakeRegistry.sol";
import {SealedChunk} from "../../../contracts/chain/evidence/Demands.sol";
import {Hashes} from "../../../contracts/chain/lib/Hashes.sol";
import {LogMerkle} from "../../../contracts/chain/lib/LogMerkle.sol";
import {Checkpoint, Messages, Opening, Ticket} from "../../../contracts/chain/lib/Messages.sol";
import {IStakeRegistry} from "../../../contracts/chain/registry/IStakeRegistry.sol";
import {Times} from "../../../contracts/chain/registry/RegistryState.sol";
import {RefereeSet} from "../../../contracts/chain/rulings/RefereeSets.sol";
import {Harness} from "./Harness.sol";
import {TestToken} from "./Tokens.sol";
import {vm} from "./Vm.sol";

/// @dev One network: three staked providers, a staked gateway, a client, 3 referees, 5 on appeal. Times as `assay deploy` has them.
abstract contract Base {
    uint256 internal constant START = 1_800_000_000;
    uint128 internal constant STAKE = 1_000_000;
    uint128 internal constant BOND = 1_000;
    uint48 internal constant UNBOND = 21 days;
    uint48 internal constant POT = 14 days;
    uint48 internal constant KEY_DELAY = 2 days;
    uint48 internal constant EXIT = 3 days;
    uint48 internal constant ACTIVATION = 1 days;
    uint48 internal constant ANSWER = 1 days;

    uint256 internal constant GATEWAY_KEY = 0x6A7E;
    uint256 internal constant REFEREE_KEY = 0x4EF0;
    string internal constant ORIGIN = "assay.example/log";

    address internal owner = address(0x0A11);
    address internal gateway = address(0x6000);
    address internal stranger = address(0x5757);
    TestToken internal token;
    StakeRegistry internal registry;
    Settlement internal settlement;
    Evidence internal evidence;
    DrawEvidence internal drawEvidence;
    Rulings internal rulings;
    Harness internal _harness;

    function setUp() public virtual {
        vm.warp(START);
        _harness = new Harness();
        token = _makeToken();
        registry = new StakeRegistry(token, owner, Times(UNBOND, KEY_DELAY, POT));
        IStakeRegistry stakes = IStakeRegistry(address(registry));
        settlement = new Settlement(stakes, EXIT, ACTIVATION);
        evidence = new Evidence(stakes, ANSWER, BOND);
        drawEvidence = new DrawEvidence(stakes);
        rulings = new Rulings(stakes, owner, Windows(3 days, 2 days, 3 days), BOND, _set(0, 3, 2), _set(3, 5, 3));
        address[] memory slashers = new address[](3);
        (slashers[0], slashers[1], slashers[2]) = (address(evidence), address(drawEvidence), address(rulings));
        vm.prank(owner);
        registry.installSlashers(slashers);
        for (uint256 i = 0; i < 3; ++i) _join(_provider(i), _providerKey(i));
        _join(gateway, GATEWAY_KEY);
        vm.prank(gateway);
        registry.nameLog(gateway, ORIGIN);
        _fill(stranger);
        _fill(_client());
    }

    function _makeToken() internal virtual returns (TestToken) {
        return new TestToken();
    }

    function _provider(uint256 i) internal pure returns (address) {
        return address(uint160(0x9000 + i));
    }

    function _providerKey(uint256 i) internal pure returns (uint256) {
        return 0xBEE0 + i;
    }

    function _client() internal pure returns (address) {
        return vm.addr(0xC11E);
    }

    /// @dev Gives tokens to an address and lets the contracts take them.
    function _fill(address who) internal {
        token.mint(who, 10 * STAKE);
        vm.startPrank(who);
        token.approve(address(registry), type(uint256).max);
        token.approve(address(settlement), type(uint256).max);
        token.approve(address(evidence), type(uint256).max);
        token.approve(address(rulings), type(uint256).max);
        vm.stopPrank();
    }

    function _join(address account, uint256 key) internal {
        _fill(account);
        vm.startPrank(account);
        registry.open(bytes32("manifest"));
        registry.addKey(account, vm.addr(key), _proof(account, key));
        registry.stake(account, STAKE);
        vm.stopPrank();
    }

    function _proof(address account, uint256 key) internal view returns (bytes memory) {
        return _sign(key, keccak256(abi.encode(keccak256("SigningKey(address account,address key)"), account, vm.addr(key))));
    }

    function _sign(uint256 key, bytes32 structHash) internal view returns (bytes memory) {
        return _signIn(_separator(block.chainid, address(registry)), key, structHash);
    }

    function _signIn(bytes32 separator, uint256 key, bytes32 structHash) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, keccak256(abi.encodePacked(hex"1901", separator, structHash)));
        return abi.encodePacked(r, s, v);
    }

    function _separator(uint256 chain, address verifyingContract) internal pure returns (bytes32) {
        bytes32 typeHash =
            keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
        return keccak256(abi.encode(typeHash, keccak256("Assay"), keccak256("1"), chain, verifyingContract));
    }

    function _later(uint256 duration) internal {
        vm.warp(block.timestamp + duration);
    }

    // Evidence

    function _equivocation(uint256 i, bytes32 salt) internal {
        _equivocationBy(_providerKey(i), salt);
    }

    function _equivocationBy(uint256 key, bytes32 salt) internal {
        (bytes32 a, bytes32 b) = (bytes32("a"), bytes32("b"));
        bytes32 job = bytes32("job");
        bytes memory first = _sign(key, Messages.commitment(job, 0, a));
        bytes memory second = _sign(key, Messages.commitment(job, 0, b));
        evidence.proveTwoCommitments(job, 0, a, first, b, second, salt);
    }

    function _checkpoint(uint64 size, bytes32 root) internal pure returns (Checkpoint memory) {
        return Checkpoint(ORIGIN, size, root);
    }

    function _signed(Checkpoint memory head) internal view returns (bytes memory) {
        return _sign(GATEWAY_KEY, Messages.checkpoint(keccak256(bytes(head.origin)), head.size, head.root));
    }

    /// @dev A demand for a chunk that `providerKey` sealed, with a ticket and a round that whoever has `key` makes up.
    function _demandOf(address by, uint256 key, uint256 providerKey, Opening memory opening) internal returns (bytes32) {
        Ticket memory ticket;
        ticket.jobId = opening.jobId;
        ticket.provider = vm.addr(providerKey);
        ticket.retainUntilMs = type(uint64).max;
        SealedChunk memory chunk;
        chunk.commitment = _harness.commitment(ticket.provider, opening);
        chunk.path = new bytes32[](4);
        bytes32 node = Hashes.roundLeaf(0, 0, 0, chunk.commitment);
        for (uint256 h = 0; h < 4; ++h) node = LogMerkle.nodeHash(node, 0);
        chunk.roundRoot = node;
        bytes memory ticketBy = _sign(key, _harness.ticketHash(ticket));
        bytes memory permissionBy = _sign(key, Messages.permission(0, 0, node));
        bytes memory commitmentBy = _sign(providerKey, Messages.commitment(opening.jobId, 0, chunk.commitment));
        vm.prank(by);
        return evidence.demandOpening(ticket, ticketBy, chunk, permissionBy, commitmentBy);
    }

    // Referees

    /// @dev Referees `from` to `from + count - 1` of an ascending list.
    function _set(uint256 from, uint256 count, uint8 threshold) internal pure returns (RefereeSet memory set) {
        set.members = new address[](count);
        set.threshold = threshold;
        for (uint256 i = 0; i < count; ++i) set.members[i] = vm.addr(_refereeKeys(from, count)[i]);
    }

    /// @dev Keys in ascending order of their addresses.
    function _refereeKeys(uint256 from, uint256 count) internal pure returns (uint256[] memory keys) {
        keys = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            keys[i] = REFEREE_KEY + from + i;
            for (uint256 j = i; j > 0 && vm.addr(keys[j]) < vm.addr(keys[j - 1]); --j) {
                (keys[j], keys[j - 1]) = (keys[j - 1], keys[j]);
            }
        }
    }

    function _rulingHash(bytes32 caseId, uint8 instance, Outcome outcome, Division memory division)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(
            abi.encode(
                keccak256(
                    "Ruling(bytes32 caseId,uint8 instance,uint8 outcome,address client,uint128 refund,bytes32 rightHash)"
                ),
                caseId,
                instance,
                uint8(outcome),
                division.client,
                division.refund,
                keccak256(abi.encodePacked(division.right))
            )
        );
    }

    function _voices(bytes32 caseId, uint8 instance, Outcome outcome, Division memory division, uint256 count)
        internal
        view
        returns (bytes[] memory)
    {
        return _voicesFrom(0, caseId, instance, outcome, division, count);
    }

    /// @dev Of the sets whose first referee is `from`.
    function _voicesFrom(
        uint256 from,
        bytes32 caseId,
        uint8 instance,
        Outcome outcome,
        Division memory division,
        uint256 count
    ) internal view returns (bytes[] memory signatures) {
        uint256[] memory keys = instance == 0 ? _refereeKeys(from, 3) : _refereeKeys(from + 3, 5);
        bytes32 structHash = _rulingHash(caseId, instance, outcome, division);
        signatures = new bytes[](count);
        for (uint256 i = 0; i < count; ++i) signatures[i] = _sign(keys[i], structHash);
    }

    function _division(address client, uint128 refund, address right) internal pure returns (Division memory division) {
        division.client = client;
        division.refund = refund;
        division.right = new address[](right == address(0) ? 0 : 1);
        if (right != address(0)) division.right[0] = right;
    }

    function _openCase(uint256 i) internal returns (bytes32) {
        vm.prank(stranger);
        return rulings.openCase(_provider(i), bytes32("dispute"), bytes32("bundle"), JudgedFault.WrongOutput);
    }

    function _assertEq(uint256 a, uint256 b) internal pure {
        if (a != b) revert NotEqual(a, b);
    }

    error NotEqual(uint256 left, uint256 right);
}
