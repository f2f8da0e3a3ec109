// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";

/// @notice Thrown when a signature is malformed, has a high s, or recovers no key.
error InvalidSignature();

/// @title The one EIP-712 domain of all protocol messages (spec-chain.md, "Domain")
/// @dev The verifying contract is the StakeRegistry for every contract, so that one signature serves all of them.
abstract contract AssayDomain {
    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");

    address private immutable _verifyingContract;
    uint256 private immutable _chainId;
    bytes32 private immutable _separator;

    /// @param verifyingContract the StakeRegistry
    constructor(address verifyingContract) {
        _verifyingContract = verifyingContract;
        _chainId = block.chainid;
        _separator = _build();
    }

    /// @notice The separator, rebuilt where the chain was split off after deployment.
    function domainSeparator() public view returns (bytes32) {
        return block.chainid == _chainId ? _separator : _build();
    }

    /// @notice keccak256(0x19 ‖ 0x01 ‖ domainSeparator ‖ structHash): what is signed.
    function digestOf(bytes32 structHash) public view returns (bytes32) {
        return MessageHashUtils.toTypedDataHash(domainSeparator(), structHash);
    }

    /// @dev Recovers who signed a struct.
    function _signerOf(bytes32 structHash, bytes calldata signature) internal view returns (address) {
        return _recover(digestOf(structHash), signature);
    }

    /// @dev 65 bytes r ‖ s ‖ v, low s, v 27 or 28 (SPEC.md §2).
    function _recover(bytes32 digest, bytes calldata signature) internal pure returns (address) {
        (address signer, ECDSA.RecoverError problem,) = ECDSA.tryRecoverCalldata(digest, signature);
        if (problem != ECDSA.RecoverError.NoError) revert InvalidSignature();
        return signer;
    }

    function _build() private view returns (bytes32) {
        return keccak256(
            abi.encode(DOMAIN_TYPEHASH, keccak256("Assay"), keccak256("1"), block.chainid, _verifyingContract)
        );
    }
}
