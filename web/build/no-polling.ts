// In place of the transports of Engine.IO that this page does not use: its connection is a WebSocket from the start.
export { Nothing as Fetch, Nothing as WT, Nothing as XHR };

class Nothing {}
