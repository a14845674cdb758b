// Read one department's topic: each record once, in order, from the beginning or from a time.
//
// java -cp kafka-clients.jar:slf4j-api.jar Department.java HOST:PORT dept.TOWN.DEPARTMENT KNOWN.tsv [2025-03-03T08:00:00+08:00]
// Put your own effect of a record where it is printed; better, in one transaction with what is known.

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.time.OffsetDateTime;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Properties;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.StringDeserializer;

public class Department {
    public static void main(String[] args) throws Exception {
        var how = new Properties();
        how.put("bootstrap.servers", args[0]);
        how.put("group.id", args[1] + ".java");
        how.put("group.instance.id", "1"); // its own seat: taken up again at once after a crash
        how.put("enable.auto.commit", "false");
        how.put("auto.offset.reset", "earliest");
        var text = new StringDeserializer();
        var file = Path.of(args[2]);
        var known = new HashSet<String>();
        var last = new HashMap<String, Integer>(); // the last task_seq of each case
        for (var line : Files.exists(file) ? Files.readAllLines(file) : List.<String>of()) {
            var seen = line.split("\t");
            known.add(seen[0]);
            last.put(seen[1], Integer.valueOf(seen[2]));
        }
        var since = args.length > 3;
        try (var consumer = new KafkaConsumer<>(how, text, text)) {
            consumer.subscribe(List.of(args[1]));
            if (since) from(consumer, OffsetDateTime.parse(args[3]).toInstant().toEpochMilli());
            while (true) {
                for (var record : consumer.poll(Duration.ofSeconds(1))) {
                    var about = about(record, "ce_subject");
                    var seq = Integer.parseInt(about(record, "ce_sequence"));
                    if (!known.add(about(record, "ce_id"))) continue; // it came again: nothing new
                    var gap = seq != last.getOrDefault(about, 0) + 1 && !(since && !last.containsKey(about));
                    last.put(about, seq);
                    System.out.println("{\"gap\": " + gap + ", \"case\": \"" + about + "\", " + record.value().substring(1));
                    var row = String.join("\t", about(record, "ce_id"), about, seq + "\n");
                    Files.writeString(file, row, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
                }
                consumer.commitSync();
            }
        }
    }

    static String about(ConsumerRecord<?, ?> record, String name) {
        return new String(record.headers().lastHeader(name).value(), StandardCharsets.UTF_8);
    }

    /** Begin with what the broker took at that time or later. */
    static void from(KafkaConsumer<?, ?> consumer, long at) {
        while (consumer.assignment().isEmpty()) consumer.poll(Duration.ofMillis(100));
        var ends = consumer.endOffsets(consumer.assignment());
        var times = ends.keySet().stream().collect(Collectors.toMap(place -> place, place -> at));
        consumer.offsetsForTimes(times).forEach((place, first) ->
            consumer.seek(place, first == null ? ends.get(place) : first.offset()));
    }
}
