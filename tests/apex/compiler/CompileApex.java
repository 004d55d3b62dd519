/*
 * Compiles Apex classes and triggers with Salesforce's own compiler front end (jorje, in
 * @salesforce/code-analyzer-sfge-engine), up to and including validation.
 *
 * The compiler comes without the standard library. Here it is taken from the stubs of apex-ls (standard-types and
 * sobject-types, in @salesforce/code-analyzer-pmd-engine): Java classes that declare Apex's types, read by reflection.
 * The package's own objects are read from the project's metadata.
 *
 *   java -cp JARS CompileApex.java PROJECT STANDARD_TYPES_JAR SOBJECT_TYPES_JAR
 *
 * prints one line per error, as file, line, column and message, separated by tabs.
 */

import apex.common.base.Initializers;
import apex.jorje.data.Locations;
import apex.jorje.semantic.ast.modifier.ModifierGroup;
import apex.jorje.semantic.ast.modifier.ModifierGroups;
import apex.jorje.semantic.common.TestAccessEvaluator;
import apex.jorje.semantic.common.TestQueryValidators;
import apex.jorje.semantic.common.TestSymbolProvider;
import apex.jorje.semantic.compiler.ApexCompiler;
import apex.jorje.semantic.compiler.CodeUnit;
import apex.jorje.semantic.compiler.CompilationInput;
import apex.jorje.semantic.compiler.CompilerStage;
import apex.jorje.semantic.compiler.Namespaces;
import apex.jorje.semantic.compiler.SourceFile;
import apex.jorje.semantic.compiler.ValidationSettings;
import apex.jorje.semantic.compiler.ValidationSettings.ValidationBehavior;
import apex.jorje.semantic.compiler.sfdc.NoopCompilerProgressCallback;
import apex.jorje.semantic.symbol.member.method.MethodTable;
import apex.jorje.semantic.symbol.member.method.StandardMethodInfo;
import apex.jorje.semantic.symbol.member.method.StandardMethodTable;
import apex.jorje.semantic.symbol.member.variable.AbstractFieldInfo;
import apex.jorje.semantic.symbol.member.variable.FieldTable;
import apex.jorje.semantic.symbol.member.variable.MultipleFieldTable;
import apex.jorje.semantic.symbol.member.variable.SObjectFieldInfo;
import apex.jorje.semantic.symbol.member.variable.SObjectFieldInfo.Category;
import apex.jorje.semantic.symbol.member.variable.StandardFieldInfo;
import apex.jorje.semantic.symbol.member.variable.StandardFieldTable;
import apex.jorje.semantic.symbol.resolver.SymbolResolver;
import apex.jorje.semantic.symbol.type.GenericTypeInfo;
import apex.jorje.semantic.symbol.type.GenericTypeInfoFactory;
import apex.jorje.semantic.symbol.type.InternalTypeInfos;
import apex.jorje.semantic.symbol.type.SObjectMetadata;
import apex.jorje.semantic.symbol.type.SObjectMetadata.CustomEntitySObjectType;
import apex.jorje.semantic.symbol.type.SObjectTypeInfo;
import apex.jorje.semantic.symbol.type.StandardTypeInfoImpl;
import apex.jorje.semantic.symbol.type.TypeInfo;
import apex.jorje.semantic.symbol.type.TypeInfos;
import apex.jorje.semantic.symbol.type.UnitType;
import apex.jorje.semantic.symbol.type.common.BiPredicates;
import apex.jorje.semantic.symbol.type.parent.ParentTable;
import apex.jorje.semantic.symbol.type.parent.ParentTableFactory;
import apex.jorje.services.exception.CompilationException;
import java.io.IOException;
import java.lang.reflect.Constructor;
import java.lang.reflect.Executable;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.jar.JarFile;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

public class CompileApex {
    public static void main(String[] arguments) throws Exception {
        Locations.useIndexFactory();
        Path project = Path.of(arguments[0]);
        StandardLibrary library = new StandardLibrary(arguments[1], arguments[2]);
        Platform platform = new Platform(library, CustomObject.readAll(project));
        List<SourceFile> sources = new ArrayList<>();
        for (Path file : filesOf(project)) {
            if (file.toString().endsWith(".cls") || file.toString().endsWith(".trigger")) {
                String name = project.relativize(file).toString();
                sources.add(SourceFile.builder().setBody(Files.readString(file)).setKnownName(name).build());
            }
        }
        for (CodeUnit unit : compile(sources, platform)) {
            for (CompilationException error : unit.getErrors().get()) {
                String message = error.getError().replaceAll("\\s+", " ");
                int line = Math.max(error.getLoc().getLine(), 0);
                int column = Math.max(error.getLoc().getColumn(), 0);
                System.out.println(String.join("\t", unit.getSourceFile().getKnownName(), "" + line, "" + column, message));
            }
        }
    }

    static List<Path> filesOf(Path folder) throws IOException {
        try (Stream<Path> files = Files.walk(folder)) {
            return files.filter(Files::isRegularFile).sorted().collect(Collectors.toList());
        }
    }

    private static List<CodeUnit> compile(List<SourceFile> sources, Platform platform) {
        CompilationInput input = new CompilationInput(
            sources, platform, new Permissions(), new TestQueryValidators.Noop(), null, NoopCompilerProgressCallback.get());
        ValidationSettings all =
            ValidationSettings.builder().setValidationBehavior(ValidationBehavior.COLLECT_MULTIPLE_ERRORS).build();
        ApexCompiler compiler = ApexCompiler.builder().setInput(input).setValidationSettings(all).build();
        compiler.compile(CompilerStage.ADDITIONAL_VALIDATE);
        return compiler.getCodeUnits();
    }
}

/** What the org lets the code do. */
class Permissions extends TestAccessEvaluator {
    @Override
    public boolean isSetupEntityVisibleToType(SObjectTypeInfo object, TypeInfo type) {
        return true; // the package's custom setting
    }
}

/** The Java classes that declare Apex's standard types, by names in lower case. */
class StandardLibrary {
    private static final String ROOT = "com/nawforce/runforce/";
    private static final String OBJECTS = "sobjects/";
    /** By namespace and name, such as `system/json`. */
    final Map<String, Class<?>> types = new HashMap<>();
    final Map<String, Class<?>> objects = new HashMap<>();

    StandardLibrary(String... jars) throws IOException, ClassNotFoundException {
        for (String jar : jars) {
            try (JarFile file = new JarFile(jar)) {
                List<String> names = file.stream().map(entry -> entry.getName()).collect(Collectors.toList());
                for (String name : names) {
                    if (name.startsWith(ROOT) && name.endsWith(".class")) {
                        add(name.substring(0, name.length() - ".class".length()));
                    }
                }
            }
        }
    }

    private void add(String path) throws ClassNotFoundException {
        Class<?> type = Class.forName(path.replace('/', '.'), false, StandardLibrary.class.getClassLoader());
        String name = path.substring(ROOT.length()).toLowerCase();
        if (name.startsWith(OBJECTS)) {
            objects.put(name.substring(OBJECTS.length()), type);
        } else {
            types.put(name, type);
        }
    }

    static boolean declares(Class<?> type) {
        return type != null && type.getName().replace('.', '/').startsWith(ROOT);
    }

    /** The name in Apex, such as `System.JSON`. */
    static String apexName(Class<?> type) {
        String name = type.getName().substring(ROOT.length()).replace('$', '.');
        return name.startsWith("eventbus.") ? "EventBus" + name.substring("eventbus".length()) : name;
    }
}

/** An object of the project, read from its metadata. */
class CustomObject {
    private static final Pattern TYPE = Pattern.compile("<type>(\\w+)</type>");
    final String name;
    boolean isSetting;
    final Map<String, TypeInfo> fields = new LinkedHashMap<>();

    private CustomObject(String name) {
        this.name = name;
        fields.put("CreatedDate", TypeInfos.DATE_TIME);
        fields.put("CreatedById", TypeInfos.ID);
        if (isEvent()) {
            fields.put("ReplayId", TypeInfos.STRING);
        } else {
            fields.put("Id", TypeInfos.ID);
            fields.put("Name", TypeInfos.STRING);
            fields.put("IsDeleted", TypeInfos.BOOLEAN);
            fields.put("SystemModstamp", TypeInfos.DATE_TIME);
            fields.put("LastModifiedDate", TypeInfos.DATE_TIME);
            fields.put("LastModifiedById", TypeInfos.ID);
        }
    }

    boolean isEvent() {
        return name.endsWith("__e");
    }

    static Map<String, CustomObject> readAll(Path project) throws IOException {
        Map<String, CustomObject> found = new HashMap<>();
        for (Path file : CompileApex.filesOf(project)) {
            String path = file.toString();
            if (path.endsWith(".object-meta.xml")) {
                CustomObject object = in(found, file.getParent());
                object.isSetting = Files.readString(file).contains("<customSettingsType>");
                object.fields.put(object.isSetting ? "SetupOwnerId" : "OwnerId", TypeInfos.ID);
            } else if (path.endsWith(".field-meta.xml")) {
                Matcher type = TYPE.matcher(Files.readString(file));
                if (type.find()) {
                    String field = file.getFileName().toString().replace(".field-meta.xml", "");
                    in(found, file.getParent().getParent()).fields.put(field, ofField(type.group(1)));
                }
            }
        }
        return found;
    }

    private static CustomObject in(Map<String, CustomObject> found, Path folder) {
        String name = folder.getFileName().toString();
        return found.computeIfAbsent(name.toLowerCase(), key -> new CustomObject(name));
    }

    private static TypeInfo ofField(String kind) {
        switch (kind) {
            case "Checkbox": return TypeInfos.BOOLEAN;
            case "Number": return TypeInfos.DECIMAL;
            case "DateTime": return TypeInfos.DATE_TIME;
            default: return TypeInfos.STRING;
        }
    }
}

/** The types that an org has before the project's own classes. */
class Platform extends TestSymbolProvider {
    private static final String BUILT_IN = "com/salesforce/api/";
    private static final Map<String, TypeInfo> SCALARS = Map.ofEntries(
        Map.entry("System.String", TypeInfos.STRING), Map.entry("System.Integer", TypeInfos.INTEGER),
        Map.entry("System.Long", TypeInfos.LONG), Map.entry("System.Double", TypeInfos.DOUBLE),
        Map.entry("System.Decimal", TypeInfos.DECIMAL), Map.entry("System.Boolean", TypeInfos.BOOLEAN),
        Map.entry("System.Id", TypeInfos.ID), Map.entry("System.Blob", TypeInfos.BLOB),
        Map.entry("System.Date", TypeInfos.DATE), Map.entry("System.Datetime", TypeInfos.DATE_TIME),
        Map.entry("System.Time", TypeInfos.TIME), Map.entry("System.SObject", TypeInfos.SOBJECT),
        Map.entry("System.Exception", TypeInfos.EXCEPTION));

    private final StandardLibrary library;
    private final Map<String, CustomObject> custom;
    private final Map<Class<?>, TypeInfo> types = new HashMap<>();
    private final Map<String, TypeInfo> objects = new HashMap<>();
    /** The names by which the compiler knows some types, by their names in Apex. */
    private final Map<String, String> bytecodeNames = new HashMap<>();

    Platform(StandardLibrary library, Map<String, CustomObject> custom) throws IllegalAccessException {
        this.library = library;
        this.custom = custom;
        for (Field field : InternalTypeInfos.class.getFields()) {
            if (field.get(null) instanceof TypeInfo) {
                TypeInfo type = (TypeInfo) field.get(null);
                bytecodeNames.put(type.getApexName().toLowerCase(), type.getBytecodeName());
            }
        }
    }

    /** Finds a type by a name that the compiler tries, such as `system/json` or `com/salesforce/api/json`. */
    @Override
    public TypeInfo find(SymbolResolver symbols, TypeInfo referencing, String fullName) {
        String name = fullName.toLowerCase();
        if (name.startsWith(BUILT_IN)) {
            name = name.substring(BUILT_IN.length()).replaceFirst("^exception/", "");
            if (name.startsWith("entity/")) {
                return getSObjectType(referencing, name.substring("entity/".length()));
            }
            name = name.indexOf('/') < 0 ? "system/" + name : name;
        }
        Class<?> found = library.types.get(name);
        return found != null ? typeOf(found) : super.find(symbols, referencing, fullName);
    }

    @Override
    public TypeInfo getSObjectType(TypeInfo referencing, String name) {
        String key = name.toLowerCase();
        if (!objects.containsKey(key)) {
            if (custom.containsKey(key)) {
                objects.put(key, ofProject(custom.get(key)));
            } else if (library.objects.containsKey(key)) {
                objects.put(key, standardObject(library.objects.get(key)));
            }
        }
        return objects.get(key);
    }

    private TypeInfo ofProject(CustomObject object) {
        CustomEntitySObjectType kind =
            object.isSetting ? CustomEntitySObjectType.HIERARCHY_CUSTOM_SETTING : CustomEntitySObjectType.OTHER;
        SObjectMetadata.Builder metadata =
            SObjectMetadata.builder().setPlatformEvent(object.isEvent()).setCustomEntitySObjectType(kind);
        return object(object.name, metadata, object.fields);
    }

    private TypeInfo standardObject(Class<?> declaration) {
        return object(declaration.getSimpleName(), SObjectMetadata.builder(), null, declaration);
    }

    private TypeInfo object(String name, SObjectMetadata.Builder metadata, Map<String, TypeInfo> fields) {
        return object(name, metadata, fields, null);
    }

    private TypeInfo object(
        String name, SObjectMetadata.Builder metadata, Map<String, TypeInfo> fields, Class<?> declaration) {
        SObjectTypeInfo.Builder builder = SObjectTypeInfo.builder();
        builder.setApexName(name);
        builder.setBytecodeName(name);
        builder.setMetadata(metadata.setTriggerable(true).setLookupFieldPredicate(BiPredicates.alwaysTrue()).build());
        builder.setFields(Initializers.memoize(owner -> {
            MultipleFieldTable table = new MultipleFieldTable();
            table.add(tokenOfObject(owner));
            (fields != null ? fields : declaredFields(declaration)).forEach((field, type) -> add(table, owner, field, type));
            return table.resolve();
        }));
        return builder.buildResolved();
    }

    private Map<String, TypeInfo> declaredFields(Class<?> declaration) {
        Map<String, TypeInfo> found = new LinkedHashMap<>();
        for (Field field : declaration.getFields()) {
            TypeInfo type = Modifier.isStatic(field.getModifiers()) ? null : typeOf(field.getGenericType());
            if (type != null) {
                found.put(field.getName(), type);
            }
        }
        return found;
    }

    private AbstractFieldInfo tokenOfObject(TypeInfo owner) {
        StandardFieldInfo.Builder token = StandardFieldInfo.builder();
        token.setName("SObjectType").setModifiers(ModifierGroups.GLOBAL_STATIC_FINAL);
        token.setDefiningType(owner).setType(typeOf(library.types.get("schema/sobjecttype")));
        return token.build();
    }

    /** Adds a field, and its token for Schema.SObjectField if it has one. */
    private void add(MultipleFieldTable table, TypeInfo owner, String name, TypeInfo type) {
        boolean isRow = type instanceof SObjectTypeInfo;
        boolean isList = type instanceof GenericTypeInfo;
        Category category = isRow ? Category.FOREIGN_KEY : isList ? Category.AGGREGATE : Category.REGULAR;
        table.add(field(owner, name, type, ModifierGroups.ONLY_GLOBAL, category));
        if (category == Category.REGULAR) {
            TypeInfo token = typeOf(library.types.get("schema/sobjectfield"));
            table.add(field(owner, name, token, ModifierGroups.GLOBAL_STATIC, category));
        }
    }

    private static SObjectFieldInfo field(
        TypeInfo owner, String name, TypeInfo type, ModifierGroup modifiers, Category category) {
        SObjectFieldInfo.Builder builder = SObjectFieldInfo.builder();
        builder.setName(name).setModifiers(modifiers).setDefiningType(owner).setType(type);
        return builder.setCategory(category).build();
    }

    /** The Apex type of a Java type; null for one that no Apex type stands for. */
    private TypeInfo typeOf(Type type) {
        if (type instanceof ParameterizedType) {
            return generic((ParameterizedType) type);
        }
        if (type == void.class) {
            return TypeInfos.VOID;
        }
        if (type == Object.class) {
            return TypeInfos.OBJECT;
        }
        if (!(type instanceof Class) || !StandardLibrary.declares((Class<?>) type)) {
            return null;
        }
        Class<?> declaration = (Class<?>) type;
        String name = StandardLibrary.apexName(declaration);
        if (name.startsWith("SObjects.")) {
            return getSObjectType(null, declaration.getSimpleName());
        }
        if (SCALARS.containsKey(name)) {
            return SCALARS.get(name);
        }
        if (!types.containsKey(declaration)) {
            types.put(declaration, standard(declaration, name));
        }
        return types.get(declaration);
    }

    private TypeInfo generic(ParameterizedType type) {
        List<TypeInfo> of = new ArrayList<>();
        for (Type argument : type.getActualTypeArguments()) {
            of.add(typeOf(argument));
        }
        if (of.contains(null)) {
            return null;
        }
        switch (((Class<?>) type.getRawType()).getSimpleName()) {
            case "List": return GenericTypeInfoFactory.createList(of.get(0));
            case "Set": return GenericTypeInfoFactory.createSet(of.get(0));
            case "Map": return GenericTypeInfoFactory.createMap(of.get(0), of.get(1));
            case "RecordSet$": return GenericTypeInfoFactory.createList(of.get(0));
            default: return typeOf(type.getRawType());
        }
    }

    private TypeInfo standard(Class<?> declaration, String name) {
        boolean isInterface = declaration.isInterface();
        StandardTypeInfoImpl.Builder builder = StandardTypeInfoImpl.builder();
        builder.setApexName(name);
        builder.setBytecodeName(bytecodeNames.getOrDefault(name.toLowerCase(), name.replace('.', '/')));
        builder.setNamespace(Namespaces.create(name.substring(0, name.indexOf('.'))));
        builder.setUnitType(isInterface ? UnitType.INTERFACE : declaration.isEnum() ? UnitType.ENUM : UnitType.CLASS);
        if (isInterface || Modifier.isAbstract(declaration.getModifiers())) {
            builder.setModifiers(ModifierGroups.GLOBAL_ABSTRACT_FINAL);
        }
        builder.setParents(Initializers.memoize(self -> parents(declaration)));
        builder.setMethods(Initializers.memoize(self -> methods(declaration, self)));
        builder.setFields(Initializers.memoize(self -> fields(declaration, self)));
        return builder.buildResolved();
    }

    private ParentTable parents(Class<?> declaration) {
        List<TypeInfo> interfaces = new ArrayList<>();
        for (Type each : declaration.getGenericInterfaces()) {
            TypeInfo type = typeOf(each);
            if (type != null) {
                interfaces.add(type);
            }
        }
        TypeInfo root = declaration.isInterface() ? null : TypeInfos.OBJECT;
        Class<?> parent = declaration.getSuperclass();
        return ParentTableFactory.create(StandardLibrary.declares(parent) ? typeOf(parent) : root, interfaces);
    }

    private MethodTable methods(Class<?> declaration, TypeInfo self) {
        StandardMethodTable table = new StandardMethodTable();
        for (Method method : declaration.getDeclaredMethods()) {
            if (!method.isBridge() && (!declaration.isEnum() || method.getName().equals("values"))) {
                TypeInfo returned =
                    declaration.isEnum() ? GenericTypeInfoFactory.createList(self) : typeOf(method.getGenericReturnType());
                boolean isStatic = Modifier.isStatic(method.getModifiers());
                ModifierGroup instance =
                    declaration.isInterface() ? ModifierGroups.GLOBAL_ABSTRACT_FINAL : ModifierGroups.ONLY_GLOBAL;
                // `clone$` stands for Apex's own `clone`, whose name Java has taken
                String name = method.getName().replace("$", "");
                add(table, method, self, name, returned, isStatic ? ModifierGroups.GLOBAL_STATIC : instance);
            }
        }
        for (Constructor<?> constructor : declaration.getDeclaredConstructors()) {
            if (!declaration.isEnum()) {
                add(table, constructor, self, "<init>", TypeInfos.VOID, ModifierGroups.ONLY_GLOBAL);
            }
        }
        if (StandardLibrary.declares(declaration.getSuperclass())) {
            typeOf(declaration.getSuperclass()).methods().all().stream()
                .filter(method -> !method.isConstructor()).forEach(table::addDuplicatesAllowed);
        }
        return table.resolve();
    }

    private void add(
        StandardMethodTable table, Executable method, TypeInfo self, String name, TypeInfo returned, ModifierGroup modifiers) {
        List<TypeInfo> parameters = new ArrayList<>();
        for (Type parameter : method.getGenericParameterTypes()) {
            parameters.add(typeOf(parameter));
        }
        if (returned != null && !parameters.contains(null) && Modifier.isPublic(method.getModifiers())) {
            table.addDuplicatesAllowed(
                StandardMethodInfo.builder().setDefiningType(self).setName(name).setConstructor(name.equals("<init>"))
                    .setReturnType(returned).setNamedParameterTypes(parameters).setModifiers(modifiers).build());
        }
    }

    private FieldTable fields(Class<?> declaration, TypeInfo self) {
        StandardFieldTable table = new StandardFieldTable();
        for (Field field : declaration.getDeclaredFields()) {
            TypeInfo type = field.getType() == declaration ? self : typeOf(field.getGenericType());
            if (type != null && Modifier.isPublic(field.getModifiers())) {
                boolean isStatic = Modifier.isStatic(field.getModifiers());
                StandardFieldInfo.Builder builder = StandardFieldInfo.builder();
                builder.setName(field.getName()).setDefiningType(self).setType(type);
                builder.setModifiers(isStatic ? ModifierGroups.GLOBAL_STATIC_FINAL : ModifierGroups.ONLY_GLOBAL);
                table.add(builder.build());
            }
        }
        return table.resolve();
    }
}
