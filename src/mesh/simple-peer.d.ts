/** The bare `simple-peer` needs Node's `global` and `process`, which Vite does not give; the bundled file stands alone. */
declare module 'simple-peer/simplepeer.min.js' {
  import Peer from 'simple-peer';

  export default Peer;
}
