// Stands in for Node's `crypto`, which HPKE asks for where there is no WebCrypto: no browser gets there.
export {};
