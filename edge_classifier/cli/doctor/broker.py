"""The broker of the settings: does it let this device in, and may that publish?"""

import queue
import secrets
import time
from functools import partial

from edge_classifier.cli.doctor.finding import DoctorFinding
from edge_classifier.config.mqtt_settings import MqttSettings
from edge_classifier.config.settings import DeviceSettings
from edge_classifier.core.network.network_address import host_and_port
from edge_classifier.daemon.service import node_name
from edge_classifier.mqtt.connection.broker_connection import (
    Acknowledged,
    BrokerConnection,
    Connected,
    ConnectionEvent,
    ConnectionLost,
    ConnectionOptions,
    ReceivedMessage,
    SubscriptionRefused,
    broker_password,
)
from edge_classifier.mqtt.topics import Topics

# Name resolution, TCP and TLS have limits of their own, of 10 s each.
_CONNECT_S = 20.0
_ANSWER_S = 5.0
_CLOSE_S = 2.0
_ACCESS = "Look at the broker's access list (acl_file in mosquitto)"


def try_broker(mqtt: MqttSettings, device: DeviceSettings) -> list[DoctorFinding]:
    """Connect beside the daemon, and send a message on one of its topics to this very place.

    Brokers of MQTT 3.1.1 acknowledge what they throw away: only what comes back was published.
    """
    if not mqtt.enabled:
        return [DoctorFinding("broker", "mqtt.enabled = false: nothing is published")]
    topics = Topics(mqtt.base_topic, node_name(device), mqtt.discovery_prefix)
    events: queue.SimpleQueue[ConnectionEvent | ReceivedMessage] = queue.SimpleQueue()
    connection = BrokerConnection(
        1,
        mqtt,
        # Not the daemon's id: the broker would end its connection.
        ConnectionOptions(
            client_id=f"edge-classifier-doctor-{secrets.token_hex(4)}",
            password=partial(broker_password, mqtt.password_file),
        ),
        events.put,
        events.put,
    )
    connection.connect()
    try:
        problem = _problem(connection, events, f"{topics.root}/doctor")
    finally:
        connection.disconnect()
        connection.wait_closed(_CLOSE_S)
    where = f"{host_and_port(mqtt.host, mqtt.port)}, MQTT {mqtt.protocol}"
    if problem:
        return [DoctorFinding("broker", problem, ok=False)]
    text = f"{where}: connected, and what is published below {topics.root} arrives"
    return [DoctorFinding("broker", text, ok=True)]


def _problem(
    connection: BrokerConnection,
    events: "queue.SimpleQueue[ConnectionEvent | ReceivedMessage]",
    topic: str,
) -> str:
    """What is wrong; empty: the message has come back."""
    subscription = sent = None
    refused = ""
    payload = secrets.token_bytes(8)
    deadline_s = time.monotonic() + _CONNECT_S
    while (left_s := deadline_s - time.monotonic()) > 0:
        try:
            event = events.get(timeout=left_s)
        except queue.Empty:
            break
        match event:
            case Connected():
                deadline_s = time.monotonic() + _ANSWER_S
                subscription = connection.subscribe([(topic, 1)])
                sent = connection.publish(topic, payload, qos=1)
            case ConnectionLost(problem=problem):
                # Some brokers say so that something is not allowed.
                when = f", when something was published on {topic}" if sent else ""
                return f"{problem}{when}"
            case Acknowledged(mid=mid, problem=problem) if mid == sent and problem:
                return f"connected, but may not publish on {topic} ({problem}). {_ACCESS}"
            case SubscriptionRefused(mid=mid, problem=problem) if mid == subscription:
                refused = problem
            case ReceivedMessage(payload=content) if content == payload:
                event.acknowledge()
                return ""
    if sent is None:
        return f"no answer within {_CONNECT_S:g} s"
    if refused:
        return f"connected, but may not subscribe to {topic} ({refused}). {_ACCESS}"
    return f"connected, but what is published on {topic} does not come back. {_ACCESS}"
